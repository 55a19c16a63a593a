import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.S3Configuration;
import software.amazon.awssdk.services.s3.model.*;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/** A day's work with the AWS SDK for Java, version 2; prints a line a step. */
public class Work {
  interface Step { void run() throws Exception; }

  static void step(String name, Step step) {
    String outcome = "ok";
    try {
      step.run();
    } catch (AwsServiceException refused) {
      outcome = refused.awsErrorDetails().errorCode();
    } catch (Exception | AssertionError failed) {
      outcome = failed.toString();
    }
    System.out.println(name + "\t" + outcome.replace('\n', ' '));
  }

  static void same(Object got, Object expected) {
    if (!got.equals(expected)) throw new AssertionError(got + " is not " + expected);
  }

  static String env(String name) { return System.getenv(name); }

  static List<CompletedPart> parts = new ArrayList<>();
  static String version;

  public static void main(String[] arguments) {
    URI endpoint = URI.create(env("S3_ENDPOINT"));
    String bucket = env("S3_BUCKET"), vault = env("S3_VAULT");
    var keys = StaticCredentialsProvider.create(
        AwsBasicCredentials.create(env("S3_ACCESS_KEY"), env("S3_SECRET_KEY")));
    var path = S3Configuration.builder().pathStyleAccessEnabled(true).build();
    S3Client s3 = S3Client.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
        .credentialsProvider(keys).serviceConfiguration(path).build();
    S3Presigner presigner = S3Presigner.builder().endpointOverride(endpoint).region(Region.US_EAST_1)
        .credentialsProvider(keys).serviceConfiguration(path).build();
    HttpClient http = HttpClient.newHttpClient();
    byte[] large = new byte[6 << 20];
    Arrays.fill(large, (byte) 'x');

    step("make-bucket", () -> s3.createBucket(r -> r.bucket(bucket)));
    step("put", () -> s3.putObject(r -> r.bucket(bucket).key("a b+c").metadata(Map.of("colour", "red")),
        RequestBody.fromString("hello")));
    step("get", () -> same(s3.getObjectAsBytes(r -> r.bucket(bucket).key("a b+c")).asUtf8String(), "hello"));
    step("head", () -> same(s3.headObject(r -> r.bucket(bucket).key("a b+c")).metadata().get("colour"), "red"));
    step("put-large", () -> {
      String upload = s3.createMultipartUpload(r -> r.bucket(bucket).key("large")).uploadId();
      for (int number = 1; number <= 2; number++) {
        int part = number;
        String tag = s3.uploadPart(r -> r.bucket(bucket).key("large").uploadId(upload).partNumber(part),
            RequestBody.fromBytes(large)).eTag();
        parts.add(CompletedPart.builder().partNumber(part).eTag(tag).build());
      }
      s3.completeMultipartUpload(r -> r.bucket(bucket).key("large").uploadId(upload)
          .multipartUpload(m -> m.parts(parts)));
    });
    step("get-large", () -> same(s3.getObjectAsBytes(r -> r.bucket(bucket).key("large")).asByteArray().length, 12 << 20));
    step("list", () -> same(s3.listObjectsV2(r -> r.bucket(bucket)).contents().stream().map(S3Object::key).toList(),
        List.of("a b+c", "large")));
    step("copy", () -> s3.copyObject(r -> r.sourceBucket(bucket).sourceKey("a b+c")
        .destinationBucket(bucket).destinationKey("copy")));
    step("tags", () -> {
      Tag tag = Tag.builder().key("shape").value("round").build();
      s3.putObjectTagging(r -> r.bucket(bucket).key("copy").tagging(t -> t.tagSet(tag)));
      same(s3.getObjectTagging(r -> r.bucket(bucket).key("copy")).tagSet(), List.of(tag));
    });
    step("enable-versioning", () -> s3.putBucketVersioning(r -> r.bucket(bucket)
        .versioningConfiguration(v -> v.status(BucketVersioningStatus.ENABLED))));
    step("delete-many", () -> {
      var one = ObjectIdentifier.builder().key("copy").build();
      var two = ObjectIdentifier.builder().key("large").build();
      same(s3.deleteObjects(r -> r.bucket(bucket).delete(d -> d.objects(one, two))).deleted().size(), 2);
    });
    step("list-versions", () -> same(s3.listObjectVersions(r -> r.bucket(bucket)).deleteMarkers().size(), 2));
    step("presigned-get", () -> {
      URI url = presigner.presignGetObject(p -> p.signatureDuration(Duration.ofMinutes(5))
          .getObjectRequest(r -> r.bucket(bucket).key("a b+c"))).url().toURI();
      same(http.send(HttpRequest.newBuilder(url).build(), HttpResponse.BodyHandlers.ofString()).body(), "hello");
    });
    step("presigned-put", () -> {
      URI url = presigner.presignPutObject(p -> p.signatureDuration(Duration.ofMinutes(5))
          .putObjectRequest(r -> r.bucket(bucket).key("by url"))).url().toURI();
      var put = HttpRequest.newBuilder(url).PUT(HttpRequest.BodyPublishers.ofString("by url")).build();
      same(http.send(put, HttpResponse.BodyHandlers.ofString()).statusCode(), 200);
      same(s3.getObjectAsBytes(r -> r.bucket(bucket).key("by url")).asUtf8String(), "by url");
    });
    step("location", () -> same(s3.getBucketLocation(r -> r.bucket(bucket)).locationConstraintAsString() == null
        ? "" : s3.getBucketLocation(r -> r.bucket(bucket)).locationConstraintAsString(), ""));
    step("put-protected", () -> version = s3.putObject(r -> r.bucket(vault).key(bucket),
        RequestBody.fromString("x")).versionId());
    step("delete-version", () -> s3.deleteObject(r -> r.bucket(vault).key(bucket).versionId(version)));
    step("delete-versions-with-code", () -> {
      var one = ObjectIdentifier.builder().key(bucket).versionId(version).build();
      same(s3.deleteObjects(r -> r.bucket(vault).mfa(env("S3_MFA")).delete(d -> d.objects(one))).errors().size(), 0);
    });
  }
}
