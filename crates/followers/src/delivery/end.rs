//! Where the delivered files of a trail end, for those who validate it.

use std::io;

use super::progress::{DeliveryOutcome, DigestChain, PinnedChains, TrailProgress};
use super::runner::{DeliveryDependencies, note_name};
use portcullis_base::names::BucketName;
use portcullis_cloudtrail::digest::LogEntry;
use portcullis_cloudtrail::{DeliveredLog, DigestHead, DigestSeries, Trail, TrailEnd};

/// Where the files of a trail end in its bucket: its newest digests as they are pinned in the state, and the log files that
/// no digest names yet.
pub(super) fn end_of(dependencies: &DeliveryDependencies, trail: &Trail) -> io::Result<TrailEnd> {
    let pin = dependencies.state.trail_head(&trail.name).and_then(|head| PinnedChains::from_json(&head.0));
    let heads = match pin.filter(|pin| pin.created == trail.created) {
        Some(pin) => [(DigestSeries::Standard, &pin.standard), (DigestSeries::Backfill, &pin.backfill)]
            .into_iter()
            .filter_map(|(series, chain)| head_of(series, chain, &trail.bucket))
            .collect(),
        None => Vec::new(),
    };
    let Some(progress) = dependencies.spool.load(&note_name(trail))? else {
        return Ok(TrailEnd { heads, ..TrailEnd::default() });
    };
    let progress =
        TrailProgress::from_json(&progress).ok_or_else(|| io::Error::other("the note of it cannot be read"))?;
    if (progress.trail.created, &progress.trail.bucket) != (trail.created, &trail.bucket) {
        return Ok(TrailEnd { heads, ..TrailEnd::default() });
    }
    let delivered = progress.standard.waiting.iter().chain(&progress.backfill.waiting).map(delivered).collect();
    let under_way = progress.planned.iter().filter(|planned| planned.bucket == trail.bucket);
    let under_way = under_way.filter_map(|planned| match &planned.outcome {
        DeliveryOutcome::Log(entry) => Some(self::delivered(entry)),
        DeliveryOutcome::Digest { .. } => None,
    });
    Ok(TrailEnd { heads, delivered, under_way: under_way.collect() })
}

fn head_of(series: DigestSeries, chain: &DigestChain, bucket: &BucketName) -> Option<DigestHead> {
    let last = chain.last.as_ref().filter(|last| last.bucket == *bucket)?;
    Some(DigestHead {
        object: last.object.clone(),
        hash: last.hash,
        signature: last.signature.clone(),
        end: last.end,
        last_sequence: chain.covered,
        tree_size: chain.before.size(),
        merkle_root: chain.before.root(),
        series,
    })
}

fn delivered(entry: &LogEntry) -> DeliveredLog {
    DeliveredLog { object: entry.object.clone(), hash: entry.hash }
}
