// A call with undici.
import {Agent, interceptors, request} from "undici"

const [mode, url, token] = process.argv.slice(2)
const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"}
if (mode === "prefer") headers.Prefer = "wait=30"
let dispatcher = new Agent()
if (mode === "loop") dispatcher = dispatcher.compose(interceptors.redirect({maxRedirections: 20}))
const response = await request(url, {method: "POST", headers, body: "[]", dispatcher})
console.log(response.statusCode, await response.body.text())
