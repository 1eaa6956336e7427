<?php
// A call with PHP's http:// streams.
[, $mode, $url, $token] = $argv;
$headers = ["Authorization: Bearer $token", "Content-Type: application/json"];
if ($mode === "prefer") {
    $headers[] = "Prefer: wait=30";
}
$options = ["method" => "POST", "header" => $headers, "content" => "[]", "ignore_errors" => true];
$body = file_get_contents($url, false, stream_context_create(["http" => $options]));
$lines = preg_grep("~^HTTP/~", $http_response_header);
echo explode(" ", end($lines))[1], " ", $body, "\n";
