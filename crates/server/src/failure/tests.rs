//! Everything a client can be told, in one table.

use std::fmt::Write as _;

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use portcullis_authorization::{DenialCause, PolicyDenial};
use portcullis_base::clock::Timestamp;
use portcullis_base::names::AccessKeyId;
use portcullis_mfa::MfaFault;
use portcullis_policy::PolicyRole;
use portcullis_s3::{S3Operation, UnclearReason, UnsupportedPart};
use portcullis_sigv4::{ChecksumAlgorithm, PayloadFault, SignatureFault};
use portcullis_xml::XmlElement;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

#[test]
fn every_failure_has_its_answer() {
    let mut table = String::new();
    for failure in failures() {
        let S3Error { status, code, message, recorded: _, details, retry_after } = failure.s3_error();
        let asked_by = if failure.is_anonymous() { " (anonymous)" } else { "" };
        writeln!(table, "{}{asked_by}\n    {} {code}: {message}", name(&failure), status.as_u16()).expect("written");
        for (name, value) in details {
            writeln!(table, "    {name}: {value}").expect("written");
        }
        if let Some(seconds) = retry_after {
            writeln!(table, "    (Retry-After: {seconds})").expect("written");
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn no_answer_says_what_went_wrong_within() {
    for failure in failures() {
        let document = failure.s3_error().document("/vault/key", RequestId::from_random([7; 16]), "portcullis");
        for word in ["sled", "hyper", "portcullis::", "Option", "panicked", "src/"] {
            assert!(!document.contains(word), "{failure:?}: {document}");
        }
    }
}

#[test]
fn what_a_client_wrote_cannot_break_out_of_its_element() {
    let unclear = unclear(UnclearReason::InvalidBucketName("</BucketName><Code>200</Code>&".to_owned()));
    let document = unclear.s3_error().document("/<vault>/\u{1}\"", RequestId::from_random([7; 16]), "portcullis");
    assert_eq!(document.matches("<Code>").count(), 1, "{document}");
    assert!(document.contains("<BucketName>&lt;/BucketName&gt;&lt;Code&gt;200&lt;/Code&gt;&amp;</BucketName>"));
    assert!(!document.contains("<vault>"));
}

proptest! {
    #[test]
    fn an_error_document_is_xml_whatever_it_repeats(text in any::<String>()) {
        let outside_xml = |character: char| match character {
            '\t' | '\n' | '\r' => false,
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => true,
            _ => false,
        };
        let control: String = ('\u{0}'..='\u{20}').chain(['\u{7F}', '\u{9B}', '\u{FFFE}', '\u{FFFF}', 'z']).collect();
        for repeated in [format!("a{text}z"), control] {
            let failure = unclear(UnclearReason::InvalidBucketName(repeated.clone()));
            let document = failure.s3_error().document(&repeated, RequestId::from_random([7; 16]), "portcullis");
            prop_assert!(!document.contains(outside_xml), "{document:?}");
            let read = XmlElement::parse(document.as_bytes()).expect("XML");
            let expected: String =
                repeated.chars().map(|one| if outside_xml(one) { '\u{FFFD}' } else { one }).collect();
            for name in ["BucketName", "Resource"] {
                prop_assert_eq!(read.text_of(name).map(str::trim), Some(expected.trim()));
            }
        }
    }
}

#[test]
fn no_refusal_writes_the_mfa_code_into_the_record() {
    let mut repeated_to_the_client = 0;
    for refusal in refusals() {
        let error = Failure::Refused(refusal).s3_error();
        repeated_to_the_client += usize::from(error.message.contains("123456"));
        assert!(!error.message_for_the_record().contains("123456"), "{error:?}");
    }
    assert_eq!(repeated_to_the_client, 1, "AWS's NotDeviceOwnerError repeats the code");
}

fn name(failure: &Failure) -> String {
    let text = format!("{failure:?}");
    // The request around the reason says nothing more.
    let reason = text.split_once("reason: ").map(|(_, reason)| format!("… {reason}"));
    reason.unwrap_or(text)
}

fn failures() -> Vec<Failure> {
    let mut failures = Vec::new();
    failures.extend(malformed().map(Failure::Malformed));
    failures.extend(bodies().into_iter().map(Failure::Body));
    failures.extend([
        Failure::Busy,
        Failure::DoneUnrecorded,
        Failure::Internal,
        Failure::OtherOwner,
        Failure::Preflight,
        Failure::StateInDoubt,
        Failure::StateUnknown,
        Failure::Unrecorded,
    ]);
    failures.extend(refusals().into_iter().map(Failure::Refused));
    failures.extend(rejections().into_iter().map(rejected));
    failures.extend(unclear_reasons().into_iter().map(unclear));
    failures.extend(upstream().map(Failure::Upstream));
    failures.push(Failure::UpstreamRefused(Box::new(UpstreamRefusal {
        status: StatusCode::NOT_FOUND,
        code: "NoSuchKey".to_owned(),
        message: "The specified key does not exist.".to_owned(),
        headers: HeaderMap::new(),
        details: vec![("Key", "k".to_owned())],
    })));
    failures
}

fn rejected(reason: SignatureFault) -> Failure {
    Failure::Rejected(Box::new(SignatureRejection { key_id: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").ok(), reason }))
}

fn unclear(reason: UnclearReason) -> Failure {
    Failure::Unclear(Box::new(UnclearRequest { bucket: None, key: None, action: None, reason }))
}

fn malformed() -> impl Iterator<Item = MalformedHead> {
    [
        MalformedHead::Connection,
        MalformedHead::Framing,
        MalformedHead::HeaderRepeated,
        MalformedHead::HeaderValue,
        MalformedHead::Host,
        MalformedHead::Method,
        MalformedHead::Query,
        MalformedHead::QueryRepeated,
        MalformedHead::QueryTooLong,
        MalformedHead::Target,
        MalformedHead::TargetTooLong,
    ]
    .into_iter()
}

fn bodies() -> Vec<BodyFailure> {
    let faults = [
        PayloadFault::AfterEnd,
        PayloadFault::Checksum(ChecksumAlgorithm::Crc64Nvme),
        PayloadFault::ChunkMalformed,
        PayloadFault::ChunkSignature,
        PayloadFault::ChunkTooLarge,
        PayloadFault::ContentMd5,
        PayloadFault::ContentSha256,
        PayloadFault::TooLong,
        PayloadFault::TooShort,
        PayloadFault::TrailerMalformed,
        PayloadFault::TrailerSignature,
    ];
    let mut failures = vec![
        BodyFailure::DigestMalformed,
        BodyFailure::Incomplete,
        BodyFailure::LengthMissing,
        BodyFailure::SeveralChecksums,
        BodyFailure::TimedOut,
        BodyFailure::TooLong,
        BodyFailure::UnsignedDocument,
        BodyFailure::Withdrawn,
    ];
    failures.extend(faults.map(BodyFailure::Wrong));
    failures
}

fn refusals() -> Vec<Refusal> {
    let serial = DeviceSerial::parse("20899872").expect("a serial");
    vec![
        Refusal::ClockDisagrees,
        Refusal::ExclusionsPresent,
        Refusal::InsecureTransport,
        Refusal::LifecycleOnProtectedBucket,
        Refusal::LifecyclePresent,
        Refusal::MalformedOffer(TokenCode::new("20899872:123456")),
        Refusal::MfaRequired,
        Refusal::NetworkThrottled { seconds: 120 },
        Refusal::NoSuchBucket,
        Refusal::NotBucketOwner,
        Refusal::NotDeviceOwner { serial, code: TokenCode::new("123456") },
        Refusal::NotVersioned,
        Refusal::Policy(Box::new(PolicyDenial {
            principal: "arn:aws:iam::210987654321:user/alice".to_owned(),
            action: "s3:GetObject".into(),
            resource: "arn:aws:s3:::vault/k".to_owned(),
            cause: DenialCause::Implicit(PolicyRole::Identity),
        })),
        Refusal::TokenCodeInvalid(MfaFault::MoreCodesNeeded),
        Refusal::TokenCodeInvalid(MfaFault::WrongCode),
        Refusal::TooManyCodesAtOnce,
        Refusal::TrailBucket,
        Refusal::Unsettled(NOW),
        Refusal::UploadMayReplaceVersion,
    ]
}

fn rejections() -> Vec<SignatureFault> {
    let claims = [
        ClaimFault::Algorithm,
        ClaimFault::Credential,
        ClaimFault::Date,
        ClaimFault::ExpiresMalformed,
        ClaimFault::ExpiresOutOfRange,
        ClaimFault::Missing("Credential"),
        ClaimFault::Region { claimed: "eu-west-1".to_owned(), expected: "us-east-1".to_owned() },
        ClaimFault::Repeated("Signature"),
        ClaimFault::Service { claimed: "ec2".to_owned() },
        ClaimFault::Signature,
        ClaimFault::SignedHeaders,
        ClaimFault::Terminator,
        ClaimFault::UnknownField,
    ];
    let forms = [SignatureForm::AuthHeader, SignatureForm::QueryString];
    let mut reasons: Vec<SignatureFault> = claims
        .into_iter()
        .flat_map(|fault| forms.map(|form| SignatureFault::Claim { form, fault: fault.clone() }))
        .collect();
    reasons.extend([
        SignatureFault::Anonymous,
        SignatureFault::DateMissing,
        SignatureFault::DecodedLengthMalformed,
        SignatureFault::DecodedLengthMissing,
        SignatureFault::Expired { at: NOW, lifetime_seconds: 60, now: NOW },
        SignatureFault::HeadersNotSigned(vec!["x-amz-a".to_owned(), "x-amz-b".to_owned()]),
        SignatureFault::InactiveKey,
        SignatureFault::NotYetValid { signed_at: NOW, now: NOW },
        SignatureFault::Path,
        SignatureFault::PayloadHashMalformed,
        SignatureFault::PayloadHashMissing,
        SignatureFault::ScopeDate,
        SignatureFault::SessionExpired,
        SignatureFault::SessionToken,
        SignatureFault::SessionTokenWithMfa,
        SignatureFault::SeveralMechanisms,
        SignatureFault::SigV2,
        SignatureFault::SigV4A,
        SignatureFault::SignatureMismatch,
        SignatureFault::SignedHeaderAbsent("x-amz-a".to_owned()),
        SignatureFault::Skewed { signed_at: NOW, now: NOW },
        SignatureFault::TrailerMismatch,
        SignatureFault::TrailerUnsupported,
        SignatureFault::UnknownKey,
        SignatureFault::UnknownScheme,
        SignatureFault::UnsignedPayloadInClear,
    ]);
    reasons
}

fn unclear_reasons() -> Vec<UnclearReason> {
    vec![
        UnclearReason::ConflictingQuery("acl".to_owned(), "policy".to_owned()),
        UnclearReason::EntityTooLarge,
        UnclearReason::IllegalVersioningConfiguration,
        UnclearReason::InvalidArgument { name: "partNumber", value: "0".to_owned(), text: "A text" },
        UnclearReason::InvalidBucketName("Vault".to_owned()),
        UnclearReason::InvalidBucketOwner("me".to_owned()),
        UnclearReason::InvalidUri,
        UnclearReason::KeyTooLong(1025),
        UnclearReason::MalformedPolicy,
        UnclearReason::MalformedXml,
        UnclearReason::MaxMessageLengthExceeded(65_536),
        UnclearReason::MethodNotAllowed,
        UnclearReason::MissingContentLength,
        UnclearReason::MissingRequestBody,
        UnclearReason::NoSuchUpload("../vault".to_owned()),
        UnclearReason::NotImplemented(UnsupportedPart::Element("Grantee".to_owned())),
        UnclearReason::NotImplemented(UnsupportedPart::Header("x-amz-unknown".to_owned())),
        UnclearReason::NotImplemented(UnsupportedPart::Operation(S3Operation::CreateSession)),
        UnclearReason::NotImplemented(UnsupportedPart::QueryKey("unknown".to_owned())),
        UnclearReason::UnexpectedContent,
    ]
}

fn upstream() -> impl Iterator<Item = UpstreamError> {
    [
        UpstreamError::BrokenOff,
        UpstreamError::DeniesUs,
        UpstreamError::RefusesUs,
        UpstreamError::RefusesUser,
        UpstreamError::Silent,
        UpstreamError::Unreachable,
        UpstreamError::Unreadable,
        UpstreamError::Untrusted,
        UpstreamError::Unwritable,
    ]
    .into_iter()
}
