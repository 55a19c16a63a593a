//! Which API a request on the port is for. Each API has a door, which accepts only signatures for its own service.

use portcullis_control::services::{ServiceApi, TARGET};
use portcullis_http::{HttpMethod, RequestHead};
use portcullis_sigv4::{AwsService, SignatureForm, claimed_service};

/// The door of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum ApiDoor {
    CloudTrail,
    Iam,
    S3,
    Service(&'static ServiceApi),
}

/// What the `Authorization` header of a request to S3 contains.
const OF_S3: &str = "/s3/aws4_request";

impl ApiDoor {
    /// The door of a request. Nothing is verified here: at the wrong door a signature is refused. An unsigned request is
    /// refused at each door, at those of calls in the protocol that their clients read.
    pub(super) fn of(head: &RequestHead) -> Self {
        // First, since almost all requests are S3's.
        if head.headers.value("authorization").is_some_and(|text| text.contains(OF_S3)) {
            return Self::S3;
        }
        let target = head.headers.value(TARGET);
        match (claimed_service(head), target) {
            (Some((AwsService::CloudTrail, SignatureForm::AuthHeader)), Some(_)) => Self::CloudTrail,
            (Some((AwsService::Iam, _)), _) => Self::Iam,
            (Some((service, _)), _) => ServiceApi::of_service(service).map_or(Self::S3, Self::Service),
            (None, Some(target)) if is_unsigned(head) && head.method == HttpMethod::Post && head.path == "/" => {
                if is_of_cloudtrail(target) {
                    Self::CloudTrail
                } else {
                    ServiceApi::of_target(target).map_or(Self::S3, Self::Service)
                }
            }
            (None, _) => Self::S3,
        }
    }
}

fn is_unsigned(head: &RequestHead) -> bool {
    !head.headers.has("authorization") && head.query.pairs().is_empty()
}

/// Both forms of the target end so before the name of the operation.
fn is_of_cloudtrail(target: &str) -> bool {
    target.rsplit_once('.').is_some_and(|(service, _)| service.ends_with("CloudTrail_20131101"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::net::SocketAddr;

    use super::*;
    use portcullis_http::{Peer, Transport};

    /// The requests of each API's clients.
    const SHAPES: [(&str, &str, Option<&str>); 8] = [
        ("GET", "/", None),
        ("PUT", "/vault/key", None),
        ("POST", "/vault?delete", None),
        ("POST", "/", None),
        ("GET", "/?Action=GetCallerIdentity", None),
        ("POST", "/", Some("CloudTrail_20131101.StopLogging")),
        ("POST", "/", Some("TrentService.ListKeys")),
        ("POST", "/", Some("DynamoDB_20120810.ListTables")),
    ];

    /// A request that claims this scope in its header, or in its query.
    fn head(method: &str, target: &str, header: Option<&str>, scope: Option<(&str, SignatureForm)>) -> RequestHead {
        let credential = |service: &str| format!("AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/{service}/aws4_request");
        let signature = "0".repeat(64);
        let mut uri = target.to_owned();
        let mut request = http::Request::builder().method(method).header("host", "localhost");
        match scope {
            Some((service, SignatureForm::AuthHeader)) => {
                let credential = credential(service);
                let text = format!("Credential={credential}, SignedHeaders=host;x-amz-date, Signature={signature}");
                request = request.header("authorization", format!("AWS4-HMAC-SHA256 {text}"));
                request = request.header("x-amz-date", "20130524T000000Z");
            }
            Some((service, SignatureForm::QueryString)) => {
                let credential = credential(service).replace('/', "%2F");
                uri.push(if uri.contains('?') { '&' } else { '?' });
                write!(
                    uri,
                    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20130524T000000Z\
                     &X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
                )
                .expect("written");
            }
            None => {}
        }
        if let Some(header) = header {
            request = request.header(TARGET, header);
        }
        let (parts, ()) = request.uri(uri).body(()).expect("a request").into_parts();
        let address = SocketAddr::from(([192, 0, 2, 1], 4000));
        RequestHead::read(&parts, Peer { address, transport: Transport::Tls }).expect("a head")
    }

    #[test]
    fn each_request_comes_to_the_door_that_its_scope_names() {
        let mut table = String::new();
        let services = AwsService::ALL.into_iter().map(AwsService::as_str).chain(["dynamodb", "S3", "S3/s3"]);
        let forms = [SignatureForm::AuthHeader, SignatureForm::QueryString];
        let scopes = services.flat_map(|service| forms.map(|form| Some((service, form)))).chain([None]);
        for scope in scopes {
            let doors =
                SHAPES.map(|(method, target, header)| match ApiDoor::of(&head(method, target, header, scope)) {
                    ApiDoor::CloudTrail => "(cloudtrail)",
                    ApiDoor::Iam => "(iam)",
                    ApiDoor::S3 => "s3",
                    ApiDoor::Service(api) => api.name(),
                });
            let scope = scope.map_or("none".to_owned(), |(service, form)| format!("{service} {form:?}"));
            writeln!(table, "{scope:25} {}", doors.join(" ")).expect("written");
        }
        insta::assert_snapshot!(table);
    }
}
