// Node's fast-proxy on a bare http server. Usage: node fast_proxy.js PORT UPSTREAM_URL
'use strict'

const http = require('node:http')
const { proxy } = require('fast-proxy')({ base: process.argv[3] })

http
  .createServer((request, response) => proxy(request, response, request.url, {}))
  .listen(Number(process.argv[2]), '127.0.0.1')
