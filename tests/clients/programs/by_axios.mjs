// A call with axios.
import axios from "axios"

const [mode, url, token] = process.argv.slice(2)
const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"}
if (mode === "prefer") headers.Prefer = "wait=30"
const options = {headers, responseType: "text", validateStatus: () => true}
const response = await axios.post(url, "[]", options)
console.log(response.status, response.data)
