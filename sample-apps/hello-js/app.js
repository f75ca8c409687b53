// The twin of the `app.js` that introductions to Kubernetes deploy with Node:
//
//   const os = require("os");
//   require("http").createServer((request, response) => {
//     response.end(`You've hit ${os.hostname()}\n`);
//   }).listen(8080);
//
// Here nobody listens: the node calls the handler. How often an instance is called before another takes its place is the
// pod's annotation `wasmk.dev/requests-per-instance`; without it each request has an instance, and a count, of its own.
import { getEnvironment } from "wasi:cli/environment@0.2.10";

let count = 0;

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (pathname === "/healthz") {
    return new Response("ok\n");
  }
  count += 1;
  const env = Object.fromEntries(getEnvironment());
  console.log(`${request.method} ${pathname}`);
  return new Response(`You've hit ${env.HOSTNAME}\nversion: ${env.VERSION ?? "v1"}\nrequests: ${count}\n`, {
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}
