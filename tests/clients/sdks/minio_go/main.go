// A day's work with MinIO's SDK for Go; prints a line a step.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
)

func step(name string, run func() error) {
	outcome := "ok"
	if err := run(); err != nil {
		outcome = minio.ToErrorResponse(err).Code
		if outcome == "" {
			outcome = strings.ReplaceAll(err.Error(), "\n", " ")
		}
	}
	fmt.Printf("%s\t%s\n", name, outcome)
}

func same[T any](got, expected T) error {
	if fmt.Sprint(got) != fmt.Sprint(expected) {
		return fmt.Errorf("%v is not %v", got, expected)
	}
	return nil
}

func main() {
	endpoint, err := url.Parse(os.Getenv("S3_ENDPOINT"))
	if err != nil {
		panic(err)
	}
	// With trailing headers, as `mc` is made: checksums then follow their body.
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:           credentials.NewStaticV4(os.Getenv("S3_ACCESS_KEY"), os.Getenv("S3_SECRET_KEY"), ""),
		Secure:          endpoint.Scheme == "https",
		TrailingHeaders: true,
	})
	if err != nil {
		panic(err)
	}
	ctx, bucket, vault := context.Background(), os.Getenv("S3_BUCKET"), os.Getenv("S3_VAULT")
	large := bytes.Repeat([]byte("x"), 12<<20)
	read := func(key string) ([]byte, error) {
		object, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
		if err != nil {
			return nil, err
		}
		return io.ReadAll(object)
	}
	put := func(into, key string, body []byte, options minio.PutObjectOptions) (minio.UploadInfo, error) {
		return client.PutObject(ctx, into, key, bytes.NewReader(body), int64(len(body)), options)
	}
	expect := func(key string, body []byte) error {
		got, err := read(key)
		if err != nil {
			return err
		}
		return same(len(got), len(body))
	}

	step("make-bucket", func() error { return client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{}) })
	step("put", func() error {
		_, err := put(bucket, "a b+c", []byte("hello"), minio.PutObjectOptions{UserMetadata: map[string]string{"colour": "red"}})
		return err
	})
	step("get", func() error { return expect("a b+c", []byte("hello")) })
	step("head", func() error {
		told, err := client.StatObject(ctx, bucket, "a b+c", minio.StatObjectOptions{})
		if err != nil {
			return err
		}
		return same(told.UserMetadata["Colour"], "red")
	})
	step("put-large", func() error {
		_, err := put(bucket, "large", large, minio.PutObjectOptions{PartSize: 5 << 20})
		return err
	})
	step("get-large", func() error { return expect("large", large) })
	step("list", func() error {
		var keys []string
		for object := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			if object.Err != nil {
				return object.Err
			}
			keys = append(keys, object.Key)
		}
		return same(keys, []string{"a b+c", "large"})
	})
	step("copy", func() error {
		_, err := client.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "copy"}, minio.CopySrcOptions{Bucket: bucket, Object: "a b+c"})
		return err
	})
	step("tags", func() error {
		wanted, err := tags.NewTags(map[string]string{"shape": "round"}, true)
		if err != nil {
			return err
		}
		if err := client.PutObjectTagging(ctx, bucket, "copy", wanted, minio.PutObjectTaggingOptions{}); err != nil {
			return err
		}
		got, err := client.GetObjectTagging(ctx, bucket, "copy", minio.GetObjectTaggingOptions{})
		if err != nil {
			return err
		}
		return same(got.ToMap(), wanted.ToMap())
	})
	step("enable-versioning", func() error { return client.EnableVersioning(ctx, bucket) })
	step("delete-many", func() error {
		objects := make(chan minio.ObjectInfo, 2)
		objects <- minio.ObjectInfo{Key: "copy"}
		objects <- minio.ObjectInfo{Key: "large"}
		close(objects)
		for failed := range client.RemoveObjects(ctx, bucket, objects, minio.RemoveObjectsOptions{}) {
			return failed.Err
		}
		return nil
	})
	step("list-versions", func() error {
		markers := 0
		for object := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
			if object.Err != nil {
				return object.Err
			}
			if object.IsDeleteMarker {
				markers++
			}
		}
		return same(markers, 2)
	})
	step("presigned-get", func() error {
		link, err := client.PresignedGetObject(ctx, bucket, "a b+c", 5*time.Minute, nil)
		if err != nil {
			return err
		}
		reply, err := http.Get(link.String())
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		body, err := io.ReadAll(reply.Body)
		if err != nil {
			return err
		}
		return same(string(body), "hello")
	})
	step("presigned-put", func() error {
		link, err := client.PresignedPutObject(ctx, bucket, "by url", 5*time.Minute)
		if err != nil {
			return err
		}
		request, err := http.NewRequest(http.MethodPut, link.String(), strings.NewReader("by url"))
		if err != nil {
			return err
		}
		reply, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		reply.Body.Close()
		if err := same(reply.StatusCode, 200); err != nil {
			return err
		}
		return expect("by url", []byte("by url"))
	})
	step("location", func() error {
		location, err := client.GetBucketLocation(ctx, bucket)
		if err != nil {
			return err
		}
		return same(location, "us-east-1")
	})
	version := ""
	step("put-protected", func() error {
		told, err := put(vault, bucket, []byte("x"), minio.PutObjectOptions{})
		version = told.VersionID
		return err
	})
	step("delete-version", func() error {
		return client.RemoveObject(ctx, vault, bucket, minio.RemoveObjectOptions{VersionID: version})
	})
}
