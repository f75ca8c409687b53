// The twin of the `app.js` that introductions to Kubernetes deploy with Node:
//
//   const os = require("os");
//   require("http").createServer((request, response) => {
//     response.end(`You've hit ${os.hostname()}\n`);
//   }).listen(8080);
//
// Here nobody listens: the node calls the handler. Each request has an instance, and a count, of its own: the engine answers
// one `fetch` event in its life.
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
