// A call with got.
import got from "got"

const [mode, url, token] = process.argv.slice(2)
const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"}
if (mode === "prefer") headers.Prefer = "wait=30"
let options = {}
if (mode === "loop") options = {maxRedirects: 20, retry: {limit: 0}}
const response = await got.post(url, {headers, body: "[]", throwHttpErrors: false, ...options})
console.log(response.statusCode, response.body)
