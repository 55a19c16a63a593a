//! What a read may carry although no store reads it: it ends here, and the read goes on.
//!
//! Networks, browsers and SDKs add query keys and headers of their own (`?v=123`, `X-Amz-Cf-Id`). S3 ignores those on
//! reads. On a write they stay refused: what is not understood could change what the write does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::S3Operation;
use super::headers::COMMANDING;
use super::row::{OperationAccess, OperationMark, OperationRow};
use portcullis_http::HttpMethod;

/// Query keys by which a store beyond AWS, or another API on the same port, answers with something else than the read.
const EXTENSION_KEYS: &[&str] = &[
    // Query protocol of IAM and STS.
    "Action",
    // Ceph RGW.
    "append",
    "format",
    "mdsearch",
    "multipart-manifest",
    "syncing",
    "temp_url_expires",
    "temp_url_sig",
    "usage",
    // MinIO and RustFS.
    "events",
    "lambdaArn",
    "metadata",
    "ping",
    "replication-check",
    "replication-metrics",
    "replication-reset",
    "replication-reset-status",
];

/// Headers of S3's own name space by which a store beyond AWS does something else than the read, or which name an action of
/// another API on the same port.
const EXTENSION_HEADERS: &[&str] = &[
    "x-amz-fwd-",
    "x-amz-replication-",
    "x-amz-request-route",
    "x-amz-request-token",
    "x-amz-restore-",
    "x-amz-snowball-",
    "x-amz-target",
    "x-amz-write-offset-bytes",
];

/// A header of writes that SDKs also send with reads, where it says nothing.
const SENT_WITH_READS: &str = "x-amz-storage-class";

/// Whether a query key that this operation does not know ends here, and the request goes on.
pub(super) fn ends_query_key(row: &OperationRow, key: &str, value: &str) -> bool {
    let commands = || {
        let lower = key.to_ascii_lowercase();
        COMMANDING.iter().any(|start| lower.starts_with(start))
    };
    // S3 answers `list-type=1` with the listing that has no mark.
    let is_mark = MARKS.contains(key) && (key, value) != ("list-type", "1");
    is_plain_read(row) && !is_mark && !EXTENSION_KEYS.contains(&key) && !commands()
}

/// Whether a header in S3's name space that this operation does not know ends here, and the request goes on.
pub(super) fn ends_header(row: &OperationRow, name: &str) -> bool {
    let of_another = || S3Operation::ALL.iter().any(|action| action.row().takes_header(name));
    let extension = || EXTENSION_HEADERS.iter().any(|start| name.starts_with(start));
    is_plain_read(row) && name.starts_with("x-amz-") && (name == SENT_WITH_READS || !extension() && !of_another())
}

fn is_plain_read(row: &OperationRow) -> bool {
    row.access == OperationAccess::Read && matches!(row.method, HttpMethod::Get | HttpMethod::Head)
}

/// The query keys by which an operation, of whatever method, is told apart.
static MARKS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let rows = S3Operation::ALL.iter().map(|action| action.row());
    rows.flat_map(|row| row.marks.iter().filter_map(OperationMark::query_key)).collect()
});
