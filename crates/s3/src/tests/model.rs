//! AWS's own model of S3 held against the table.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Model {
    operations: Vec<Operation>,
}

/// One operation of the model: its members' names, each with whether it is required.
#[derive(Deserialize)]
struct Operation {
    name: String,
    method: String,
    uri: String,
    query: BTreeMap<String, bool>,
    headers: BTreeMap<String, bool>,
    body: Option<String>,
}

fn model() -> Model {
    serde_json::from_str(include_str!("../../../../tests/model/s3.json")).expect("the extract")
}

/// Members of the model that we refuse, and why.
const REFUSED_MEMBERS: &[(&str, &str, &str)] = &[
    (
        "CreateBucket",
        "x-amz-bucket-namespace",
        "a name space of names that is AWS's own; the proxy's state goes by name",
    ),
    ("PutObject", "x-amz-write-offset-bytes", "appends to an object in place"),
];

/// Headers of the model that another stage reads, or that belong to the body as it was sent.
const ENDING_HERE: &[&str] = &["content-length", "content-md5", "x-amz-mfa", "x-amz-sdk-checksum-algorithm"];

impl Operation {
    fn row(&self) -> &'static OperationRow {
        let named = |action: &&S3Operation| action.row().is_named(&self.name);
        S3Operation::ALL
            .iter()
            .find(named)
            .map(|action| action.row())
            .unwrap_or_else(|| panic!("no row for {}", self.name))
    }

    fn line(&self, with: impl Fn(bool) -> bool) -> String {
        let mut target = self.uri.replace("{Bucket}", "vault").replace("{Key+}", "a/key");
        for (key, required) in &self.query {
            if with(*required) {
                target.push(if target.contains('?') { '&' } else { '?' });
                target.push_str(&format!("{key}={}", query_value(key)));
            }
        }
        format!("{} {target}", self.method)
    }

    fn headers(&self, with: impl Fn(bool) -> bool) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, required)| with(**required) && !self.is_refused(name) && *name != "content-length")
            .map(|(name, _)| match name.as_str() {
                "x-amz-meta-" => ("x-amz-meta-colour".to_owned(), "blue".to_owned()),
                name => (name.to_owned(), header_value(name).to_owned()),
            })
            .collect();
        if self.body.is_some() {
            headers.push(("content-length".to_owned(), "10".to_owned()));
        }
        headers
    }

    fn is_refused(&self, member: &str) -> bool {
        REFUSED_MEMBERS.iter().any(|(name, refused, _)| *name == self.name && *refused == member)
    }

    fn routed(&self, with: impl Fn(bool) -> bool + Copy) -> Result<RoutedRequest, UnclearRequest> {
        let headers = self.headers(with);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let line = self.line(with);
        let (method, target) = line.split_once(' ').expect("a line");
        route(&head(method, target, &headers).expect("a head"), &routing(UpstreamKind::Aws))
    }
}

fn query_value(key: &str) -> &'static str {
    match key {
        "encoding-type" => "url",
        "fetch-owner" => "true",
        _ => "1",
    }
}

fn header_value(name: &str) -> &'static str {
    match name {
        "x-amz-copy-source" => "vault/other",
        "x-amz-expected-bucket-owner" | "x-amz-source-expected-bucket-owner" => "123456789012",
        "range" => "bytes=0-1",
        _ => "1",
    }
}

fn outcome(operation: &Operation, routed: Result<RoutedRequest, UnclearRequest>) -> Result<S3Operation, UnclearReason> {
    match routed {
        Ok(routed) => Ok(routed.action()),
        Err(UnclearRequest {
            action,
            reason: UnclearReason::NotImplemented(UnsupportedPart::Operation(refused)),
            ..
        }) => {
            assert_eq!(action, Some(refused), "{}", operation.name);
            assert_eq!(UpstreamKind::Aws.handling(refused), RequestHandling::Refused, "{}", operation.name);
            Ok(refused)
        }
        Err(unclear) => Err(unclear.reason),
    }
}

#[test]
fn every_operation_of_the_model_routes_to_its_own_row() {
    for operation in model().operations {
        let row = operation.row();
        let all = outcome(&operation, operation.routed(|_| true));
        // With a list of configurations the same flag without an id is another operation; a required
        // member is there in both renderings.
        let required = outcome(&operation, operation.routed(|required| required));
        assert_eq!(all, Ok(row.action), "{}", operation.line(|_| true));
        match operation.name.as_str() {
            // Told apart from ListBuckets by its endpoint's name alone, until it pages.
            "ListDirectoryBuckets" => assert_eq!(required, Ok(S3Operation::ListBuckets)),
            _ => assert_eq!(required, Ok(row.action), "{}", operation.line(|required| required)),
        }
    }
}

#[test]
fn every_row_but_two_is_an_operation_of_the_model() {
    let model = model();
    let missing: Vec<&str> = S3Operation::ALL
        .iter()
        .map(|action| action.row())
        .filter(|row| !model.operations.iter().any(|operation| row.is_named(&operation.name)))
        .map(|row| row.name)
        .collect();
    assert_eq!(missing, ["PostObject", "PreflightRequest"]);
}

#[test]
fn every_member_of_the_model_is_carried_or_refused_for_a_reason() {
    for operation in model().operations {
        let row = operation.row();
        if UpstreamKind::Aws.handling(row.action) == RequestHandling::Refused {
            continue;
        }
        let request = operation.routed(|_| true).unwrap_or_else(|unclear| panic!("{}: {unclear}", operation.name));
        for name in operation.headers.keys() {
            let name = if name == "x-amz-meta-" { "x-amz-meta-colour" } else { name.as_str() };
            let carried = request.headers().iter().any(|(carried, _)| carried.as_str() == name);
            let elsewhere = ENDING_HERE.contains(&name) || name == "x-amz-copy-source";
            assert!(carried || elsewhere || operation.is_refused(name), "{} loses {name}", operation.name);
        }
        for key in operation.query.keys() {
            assert!(row.query_key(key).is_some(), "{} loses {key}", operation.name);
        }
    }
}

#[test]
fn every_refused_member_is_refused() {
    for (name, member, reason) in REFUSED_MEMBERS {
        let operation = model().operations.into_iter().find(|operation| operation.name == *name).expect("in the model");
        let line = operation.line(|required| required);
        assert_eq!(
            ask(UpstreamKind::Aws, &line, &[(member, "1")], "").err(),
            Some(UnclearReason::NotImplemented(UnsupportedPart::Header((*member).to_owned()))),
            "{reason}"
        );
    }
}

#[test]
fn the_body_of_each_row_is_the_models() {
    for operation in model().operations {
        let row = operation.row();
        if UpstreamKind::Aws.handling(row.action) == RequestHandling::Refused {
            continue;
        }
        let ours = match row.body {
            OperationBody::Document(grammar) | OperationBody::OptionalDocument(grammar) => Some(grammar.root),
            OperationBody::Nothing => None,
            OperationBody::Payload => Some("blob"),
            OperationBody::Policy => Some("string"),
        };
        assert_eq!(ours, operation.body.as_deref(), "{}", operation.name);
    }
}

#[test]
fn no_store_is_asked_for_what_it_takes_for_something_else() {
    for operation in model().operations {
        let action = operation.row().action;
        for upstream in UpstreamKind::ALL {
            let asked = ask(upstream, &operation.line(|required| required), &[], "");
            match (upstream.treatment(action), upstream.handling(action)) {
                (
                    StoreTreatment::Mistakes(_) | StoreTreatment::Declines,
                    RequestHandling::Forwarded | RequestHandling::ForwardedElse(_),
                ) => {
                    panic!("{action:?} is sent to {upstream:?}")
                }
                (_, RequestHandling::Refused) => {
                    let refused = Some(UnclearReason::NotImplemented(UnsupportedPart::Operation(action)));
                    // ListDirectoryBuckets is another operation as long as it does not page.
                    assert!(
                        asked.err() == refused || action == S3Operation::ListDirectoryBuckets,
                        "{action:?} {upstream:?}"
                    );
                }
                (_, handling) => assert!(
                    asked.as_ref().map_or(true, |request| request.handling == handling),
                    "{action:?} {upstream:?}: {asked:?}"
                ),
            }
        }
    }
}

/// An unknown store may be any of those that are known.
#[test]
fn an_unknown_store_is_asked_for_nothing_that_a_known_one_mistakes() {
    for action in S3Operation::ALL {
        let mistaken =
            UpstreamKind::KNOWN.iter().any(|store| matches!(store.treatment(*action), StoreTreatment::Mistakes(_)));
        let sent = matches!(
            UpstreamKind::Generic.handling(*action),
            RequestHandling::Forwarded | RequestHandling::ForwardedElse(_)
        );
        assert!(!(mistaken && sent), "{action:?}");
    }
}

/// Measured: the bucket was deleted.
#[test]
fn no_store_is_asked_to_delete_a_bucket_by_a_key_it_does_not_know() {
    let ceph = &[
        "analytics&id=1",
        "encryption",
        "intelligent-tiering&id=1",
        "inventory&id=1",
        "metrics&id=1",
        "metadataConfiguration",
        "metadataTable",
        "ownershipControls",
    ];
    let minio = &[
        "analytics&id=1",
        "publicAccessBlock",
        "intelligent-tiering&id=1",
        "inventory&id=1",
        "metrics&id=1",
        "metadataConfiguration",
        "metadataTable",
        "ownershipControls",
    ];
    for (upstream, keys) in [(CEPH, ceph), (UpstreamKind::Minio, minio)] {
        for key in keys {
            let removed = RequestHandling::Answered(LocalAnswer::Unconfigured(UnconfiguredAnswer::Removed));
            for upstream in [upstream, UpstreamKind::Generic] {
                let asked = ask(upstream, &format!("DELETE /vault?{key}"), &[], "").map(|request| request.handling);
                assert_eq!(asked, Ok(removed), "{upstream:?} {key}");
            }
        }
    }
}

/// A user who may not remove a configuration may not be told that it was removed either.
#[test]
fn what_is_answered_here_is_judged_as_if_it_were_sent() {
    for action in S3Operation::ALL {
        let line = |upstream| {
            let operation = model().operations.into_iter().find(|operation| action.row().is_named(&operation.name))?;
            ask(upstream, &operation.line(|required| required), &[], "").ok().map(|request| request.hazard)
        };
        for upstream in UpstreamKind::ALL {
            if let (RequestHandling::Answered(LocalAnswer::Unconfigured(_)), Some(here)) =
                (upstream.handling(*action), line(upstream))
            {
                assert_eq!(Some(here), line(UpstreamKind::Aws), "{action:?} {upstream:?}");
            }
        }
    }
}
