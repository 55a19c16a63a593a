// A day's work with the AWS SDK for JavaScript, version 2.
import AWS from "aws-sdk";
import { bucket, endpoint, fetched, keys, large, mfa, same, step, vault } from "./steps.mjs";

const s3 = new AWS.S3({
  ...keys,
  endpoint,
  region: "us-east-1",
  s3ForcePathStyle: true,
  signatureVersion: "v4",
  maxRetries: 0,
});
const send = (name, input) => s3[name](input).promise();
const Bucket = bucket;
let VersionId;

await step("make-bucket", () => send("createBucket", { Bucket }));
await step("put", () => send("putObject", { Bucket, Key: "a b+c", Body: "hello", Metadata: { colour: "red" } }));
await step("get", async () => same((await send("getObject", { Bucket, Key: "a b+c" })).Body.toString(), "hello"));
await step("head", async () => same((await send("headObject", { Bucket, Key: "a b+c" })).Metadata.colour, "red"));
await step("put-large", () => send("upload", { Bucket, Key: "large", Body: large }));
await step("get-large", async () => same((await send("getObject", { Bucket, Key: "large" })).Body.length, large.length));
await step("list", async () => same((await send("listObjectsV2", { Bucket })).Contents.map((one) => one.Key), ["a b+c", "large"]));
await step("copy", () => send("copyObject", { Bucket, Key: "copy", CopySource: `${bucket}/a%20b%2Bc` }));
await step("tags", async () => {
  const TagSet = [{ Key: "shape", Value: "round" }];
  await send("putObjectTagging", { Bucket, Key: "copy", Tagging: { TagSet } });
  same((await send("getObjectTagging", { Bucket, Key: "copy" })).TagSet, TagSet);
});
await step("enable-versioning", () => send("putBucketVersioning", { Bucket, VersioningConfiguration: { Status: "Enabled" } }));
await step("delete-many", async () =>
  same((await send("deleteObjects", { Bucket, Delete: { Objects: [{ Key: "copy" }, { Key: "large" }] } })).Deleted.length, 2));
await step("list-versions", async () => same((await send("listObjectVersions", { Bucket })).DeleteMarkers.length, 2));
await step("presigned-get", async () =>
  same(await fetched(await s3.getSignedUrlPromise("getObject", { Bucket, Key: "a b+c" })), "hello"));
await step("presigned-put", async () => {
  await fetched(await s3.getSignedUrlPromise("putObject", { Bucket, Key: "by url" }), { method: "PUT", body: "by url" });
  same((await send("getObject", { Bucket, Key: "by url" })).Body.toString(), "by url");
});
await step("location", async () => same((await send("getBucketLocation", { Bucket })).LocationConstraint ?? "", ""));
await step("put-protected", async () => {
  VersionId = (await send("putObject", { Bucket: vault, Key: bucket, Body: "x" })).VersionId;
});
await step("delete-version", () => send("deleteObject", { Bucket: vault, Key: bucket, VersionId }));
await step("delete-versions-with-code", async () =>
  same((await send("deleteObjects", { Bucket: vault, MFA: mfa, Delete: { Objects: [{ Key: bucket, VersionId }] } })).Errors ?? [], []));
