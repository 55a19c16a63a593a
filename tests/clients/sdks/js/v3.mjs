// A day's work with the AWS SDK for JavaScript, version 3.
import * as S3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { bucket, endpoint, fetched, keys, large, mfa, same, step, vault } from "./steps.mjs";

const s3 = new S3.S3Client({ endpoint, region: "us-east-1", credentials: keys, forcePathStyle: true, maxAttempts: 1 });
const send = (name, input) => s3.send(new S3[`${name}Command`](input));
const Bucket = bucket;
let VersionId;

await step("make-bucket", () => send("CreateBucket", { Bucket }));
await step("put", () => send("PutObject", { Bucket, Key: "a b+c", Body: "hello", Metadata: { colour: "red" } }));
await step("get", async () => same(await (await send("GetObject", { Bucket, Key: "a b+c" })).Body.transformToString(), "hello"));
await step("head", async () => same((await send("HeadObject", { Bucket, Key: "a b+c" })).Metadata.colour, "red"));
await step("put-large", () => new Upload({ client: s3, params: { Bucket, Key: "large", Body: large } }).done());
await step("get-large", async () => same((await (await send("GetObject", { Bucket, Key: "large" })).Body.transformToByteArray()).length, large.length));
await step("list", async () => same((await send("ListObjectsV2", { Bucket })).Contents.map((one) => one.Key), ["a b+c", "large"]));
await step("copy", () => send("CopyObject", { Bucket, Key: "copy", CopySource: `${bucket}/a%20b%2Bc` }));
await step("tags", async () => {
  const TagSet = [{ Key: "shape", Value: "round" }];
  await send("PutObjectTagging", { Bucket, Key: "copy", Tagging: { TagSet } });
  same((await send("GetObjectTagging", { Bucket, Key: "copy" })).TagSet, TagSet);
});
await step("enable-versioning", () => send("PutBucketVersioning", { Bucket, VersioningConfiguration: { Status: "Enabled" } }));
await step("delete-many", async () =>
  same((await send("DeleteObjects", { Bucket, Delete: { Objects: [{ Key: "copy" }, { Key: "large" }] } })).Deleted.length, 2));
await step("list-versions", async () => same((await send("ListObjectVersions", { Bucket })).DeleteMarkers.length, 2));
await step("presigned-get", async () =>
  same(await fetched(await getSignedUrl(s3, new S3.GetObjectCommand({ Bucket, Key: "a b+c" }))), "hello"));
await step("presigned-put", async () => {
  const url = await getSignedUrl(s3, new S3.PutObjectCommand({ Bucket, Key: "by url" }));
  await fetched(url, { method: "PUT", body: "by url" });
  same(await (await send("GetObject", { Bucket, Key: "by url" })).Body.transformToString(), "by url");
});
await step("location", async () => same((await send("GetBucketLocation", { Bucket })).LocationConstraint ?? "", ""));
await step("put-protected", async () => {
  VersionId = (await send("PutObject", { Bucket: vault, Key: bucket, Body: "x" })).VersionId;
});
await step("delete-version", () => send("DeleteObject", { Bucket: vault, Key: bucket, VersionId }));
await step("delete-versions-with-code", async () =>
  same((await send("DeleteObjects", { Bucket: vault, MFA: mfa, Delete: { Objects: [{ Key: bucket, VersionId }] } })).Errors ?? [], []));
