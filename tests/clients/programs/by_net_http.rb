# A call with Ruby's Net::HTTP.
require "net/http"

mode, url, token = ARGV
headers = {"Authorization" => "Bearer #{token}", "Content-Type" => "application/json"}
headers["Prefer"] = "wait=30" if mode == "prefer"
uri = URI(url)
Net::HTTP.start(uri.host, uri.port) do |http|
  response = http.post(uri.request_uri, "[]", headers)
  if mode == "loop"
    response = http.get(response["Location"], headers) while response.code == "303"
  end
  puts "#{response.code} #{response.body}"
end
