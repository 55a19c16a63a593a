//! What the tests of several APIs need.

use portcullis_authorization::{Caller, CallerRights, RequestCircumstances, UpstreamIdentity};
use portcullis_base::clock::Timestamp;
use portcullis_http::{Peer, RequestHead, Transport};
use portcullis_sigv4::{Principal, SignatureForm, SigningCredentials};
use portcullis_state::StateStore;

const NOW: Timestamp = Timestamp::from_seconds(1_900_000_000);

/// Root, as it signs in a header over TLS.
pub(crate) fn root() -> Caller {
    Caller {
        principal: Principal::Root,
        form: SignatureForm::AuthHeader,
        transport: Transport::Tls,
        upstream: UpstreamIdentity::Own,
    }
}

/// What a caller may do by its policies, of which none looks at the request.
pub(crate) fn rights_of(principal: &Principal, state: &StateStore) -> CallerRights {
    let (parts, ()) = http::Request::post("/").header("host", "localhost").body(()).expect("a request").into_parts();
    let peer = Peer { address: ([127, 0, 0, 1], 4711).into(), transport: Transport::Loopback };
    let head = RequestHead::read(&parts, peer).expect("a head");
    let circumstances = RequestCircumstances {
        head: &head,
        form: SignatureForm::AuthHeader,
        credentials: SigningCredentials::LongTerm,
        signed_at: NOW,
        now: NOW,
        region: "us-east-1",
        tls_version: None,
    };
    let policies = match principal {
        Principal::Root => None,
        Principal::User(name) => state.permissions(name),
    };
    CallerRights::of_call(principal, policies, state.account(), &circumstances)
}
