<?php
// A call with PHP's curl.
[, $mode, $url, $token] = $argv;
$headers = ["Authorization: Bearer $token", "Content-Type: application/json"];
if ($mode === "prefer") {
    $headers[] = "Prefer: wait=30";
}
$call = curl_init($url);
curl_setopt($call, CURLOPT_POSTFIELDS, "[]");
curl_setopt($call, CURLOPT_RETURNTRANSFER, true);
if ($mode === "loop") {
    curl_setopt($call, CURLOPT_FOLLOWLOCATION, true);
}
curl_setopt($call, CURLOPT_HTTPHEADER, $headers);
$body = curl_exec($call);
echo curl_getinfo($call, CURLINFO_RESPONSE_CODE), " ", $body, curl_error($call), "\n";
