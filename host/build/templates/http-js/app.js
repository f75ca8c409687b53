// An HTTP service: it is called per request, and costs nothing between requests.
import { getEnvironment } from "wasi:cli/environment@0.2.10";

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  console.log(`${request.method} ${pathname}`);
  if (pathname === "/healthz") {
    return new Response("ok\n");
  }
  if (pathname !== "/") {
    return new Response("not found\n", { status: 404 });
  }
  const env = Object.fromEntries(getEnvironment());
  return new Response(`${env.GREETING ?? "Hello"} from {{name}} on ${env.HOSTNAME}\n`);
}
