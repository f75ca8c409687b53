import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const [sourcePath, witPath, wasm, worldName] = process.argv.slice(-4);
try {
  const { component } = await componentize({ sourcePath, witPath, worldName: worldName || undefined });
  await writeFile(wasm, component);
} catch (error) {
  // The stack is the bundler's; what the script did wrong is in the message.
  console.error(error?.message ?? error);
  process.exit(1);
}
