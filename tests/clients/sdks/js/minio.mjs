// A day's work with MinIO's SDK for JavaScript.
import { Client, CopyConditions } from "minio";
import { bucket, endpoint, fetched, keys, large, same, step, vault } from "./steps.mjs";

const place = new URL(endpoint);
const s3 = new Client({
  endPoint: place.hostname,
  port: Number(place.port),
  useSSL: place.protocol === "https:",
  accessKey: keys.accessKeyId,
  secretKey: keys.secretAccessKey,
});
const all = async (stream) => {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
};
const read = async (key) => Buffer.concat(await all(await s3.getObject(bucket, key)));
let versionId;

await step("make-bucket", () => s3.makeBucket(bucket));
await step("put", () => s3.putObject(bucket, "a b+c", "hello", 5, { "x-amz-meta-colour": "red" }));
await step("get", async () => same((await read("a b+c")).toString(), "hello"));
await step("head", async () => same((await s3.statObject(bucket, "a b+c")).metaData.colour, "red"));
await step("put-large", async () => {
  s3.partSize = 5 << 20;
  await s3.putObject(bucket, "large", large, large.length);
});
await step("get-large", async () => same((await read("large")).length, large.length));
await step("list", async () => same((await all(s3.listObjectsV2(bucket, "", true))).map((one) => one.name), ["a b+c", "large"]));
await step("copy", () => s3.copyObject(bucket, "copy", `/${bucket}/a b+c`, new CopyConditions()));
await step("tags", async () => {
  await s3.setObjectTagging(bucket, "copy", { shape: "round" });
  same(await s3.getObjectTagging(bucket, "copy"), [{ Key: "shape", Value: "round" }]);
});
await step("enable-versioning", () => s3.setBucketVersioning(bucket, { Status: "Enabled" }));
await step("delete-many", () => s3.removeObjects(bucket, ["copy", "large"]));
await step("list-versions", async () =>
  same((await all(s3.listObjects(bucket, "", true, { IncludeVersion: true }))).filter((one) => one.isDeleteMarker).length, 2));
await step("presigned-get", async () => same(await fetched(await s3.presignedGetObject(bucket, "a b+c", 300)), "hello"));
await step("presigned-put", async () => {
  await fetched(await s3.presignedPutObject(bucket, "by url", 300), { method: "PUT", body: "by url" });
  same((await read("by url")).toString(), "by url");
});
await step("put-protected", async () => {
  versionId = (await s3.putObject(vault, bucket, "x", 1)).versionId;
});
await step("delete-version", () => s3.removeObject(vault, bucket, { versionId }));
