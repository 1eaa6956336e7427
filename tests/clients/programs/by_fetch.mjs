// A call with Node.js's fetch.
const [mode, url, token] = process.argv.slice(2)
const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"}
if (mode === "prefer") headers.Prefer = "wait=30"
const response = await fetch(url, {method: "POST", headers, body: "[]"})
console.log(response.status, await response.text())
