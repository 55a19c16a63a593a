//! What was judged is what is sent.

use crate::rig::{Ask, Content, Rig};
use portcullis_s3::UpstreamKind;

/// Headers that are the proxy's own in a request to the store.
const OWN: &[&str] = &["authorization", "content-length", "host", "x-amz-content-sha256", "x-amz-date"];

/// What the store is asked for one request, its own headers left out.
async fn sent(rig: &Rig, ask: &Ask) -> (String, Vec<String>, String) {
    rig.upstream.forget();
    let reply = rig.send(ask).await;
    assert!(reply.status < 300, "{ask:?}: {reply:?}");
    let seen = rig.upstream.seen();
    let [seen] = &seen[..] else { panic!("{ask:?}: {seen:?}") };
    let Content::Whole(body) = &seen.content else { panic!("{seen:?}") };
    let mut headers: Vec<String> = seen
        .headers
        .iter()
        .filter(|(name, _)| !OWN.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    headers.sort();
    assert_eq!(seen.header("host"), Some(rig.upstream.address.to_string()));
    (seen.line(), headers, String::from_utf8_lossy(body).into_owned())
}

#[tokio::test]
async fn the_store_is_asked_what_the_client_meant_and_nothing_else() {
    let rig = Rig::of(UpstreamKind::Ceph).await;
    let cases = [
        (
            Ask::new("GET /vault/a%2Bb%20c/%C3%A9?versionId=v1&response-content-type=text%2Fplain")
                .header("range", "bytes=0-1")
                .header("accept-encoding", "identity")
                .header("x-forwarded-for", "6.6.6.6"),
            "GET /vault/a%2Bb%20c/%C3%A9?response-content-type=text%2Fplain&versionId=v1",
            vec!["range: bytes=0-1"],
            "",
        ),
        (
            Ask::new("GET /vault/k?v=123&_=1&max-keys=")
                .header("x-amz-cf-id", "dtdQYNjTBg")
                .header("x-amz-api-version", "2006-03-01")
                .header("x-amz-storage-class", "STANDARD")
                .header("x-amz-of-a-later-sdk", "1"),
            "GET /vault/k",
            vec![],
            "",
        ),
        (
            Ask::new("PUT /vault/k?x-id=PutObject")
                .header("x-amz-meta-note", "two  spaces")
                .header("content-type", "text/plain")
                .header("amz-sdk-invocation-id", "1")
                .header("x-amz-sdk-checksum-algorithm", "CRC32")
                .header("date", "Thu, 14 Jan 2027 00:00:00 GMT")
                .header("content-md5", "mgNkuembtIDdJeHwKEyFVQ==")
                .body("content"),
            "PUT /vault/k",
            vec!["content-md5: mgNkuembtIDdJeHwKEyFVQ==", "content-type: text/plain", "x-amz-meta-note: two  spaces"],
            "content",
        ),
        (
            Ask::new("PUT /vault/k").header("x-amz-copy-source", "vault%2Fa%20b?versionId=v1"),
            "PUT /vault/k",
            vec!["x-amz-copy-source: /vault/a%20b?versionId=v1"],
            "",
        ),
        (Ask::new("DELETE /vault/k?tagging"), "DELETE /vault/k?tagging=", vec![], ""),
        (Ask::new("GET /vault/"), "GET /vault", vec![], ""),
    ];
    for (ask, line, headers, body) in cases {
        let (seen_line, seen_headers, seen_body) = sent(&rig, &ask).await;
        assert_eq!((seen_line.as_str(), seen_headers, seen_body.as_str()), (line, strings(&headers), body));
    }
}

#[tokio::test]
async fn a_document_goes_out_as_the_proxy_wrote_it_with_sums_of_its_own() {
    let rig = Rig::of(UpstreamKind::Ceph).await;
    let cases = [
        (
            "POST /vault?delete",
            "<Delete><Quiet>true</Quiet>\n <Object><Key>a</Key></Object></Delete>",
            "POST /vault?delete=",
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a</Key></Object></Delete>",
        ),
        (
            "POST /vault/k?uploadId=2~u1",
            "<CompleteMultipartUpload> <Part><ETag>e</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
            "POST /vault/k?uploadId=2~u1",
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><ETag>e</ETag>\
             <PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        ),
        (
            "PUT /vault/k?tagging",
            "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging> ",
            "PUT /vault/k?tagging=",
            "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>a</Key><Value>b</Value></Tag>\
             </TagSet></Tagging>",
        ),
    ];
    for (line, document, sent_line, sent_document) in cases {
        let ask = Ask::new(line)
            .header("content-md5", &md5(document))
            .header("x-amz-sdk-checksum-algorithm", "CRC32")
            .header("content-type", "application/octet-stream")
            .document(document);
        let (seen_line, headers, body) = sent(&rig, &ask).await;
        assert_eq!(seen_line, sent_line);
        assert!(body.ends_with(sent_document), "{body}");
        let own = [format!("content-md5: {}", md5(&body)), "content-type: application/xml".to_owned()];
        assert_eq!(headers, own, "{line}");
    }
}

fn md5(text: &str) -> String {
    use base64::Engine as _;
    use md5::Digest as _;
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(text))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
