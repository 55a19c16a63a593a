// What the programs of this folder have in common.
import assert from "node:assert/strict";

export const { S3_ENDPOINT: endpoint, S3_BUCKET: bucket, S3_VAULT: vault, S3_MFA: mfa } = process.env;
export const keys = { accessKeyId: process.env.S3_ACCESS_KEY, secretAccessKey: process.env.S3_SECRET_KEY };
export const large = Buffer.alloc(12 << 20, "x");
export const same = assert.deepEqual;

/** Runs a step and prints how it ended. */
export async function step(name, run) {
  let outcome = "ok";
  try {
    await run();
  } catch (error) {
    outcome = error.Code ?? error.code ?? error.name ?? "error";
    if (["ERR_ASSERTION", "Error", "TypeError"].includes(outcome)) outcome = String(error.message);
  }
  console.log(`${name}\t${String(outcome).replaceAll("\n", " ")}`);
}

export async function fetched(url, options) {
  const reply = await fetch(url, options);
  const text = await reply.text();
  assert.equal(reply.status, 200, text);
  return text;
}
