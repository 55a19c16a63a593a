//! XML of AWS's protocols: one strict reader, one lenient reader, one writer.
//!
//! What decides about a request is read strictly: a document that two readers could understand differently is refused.
//! What an S3 store or the proxy itself answers is read leniently. Neither reader does I/O, resolves an entity of the
//! document's own, or nests without limit.

#![forbid(unsafe_code)]

mod lenient;
mod strict;
mod writer;

pub use lenient::{InvalidXml, LenientEvent, LenientReader, LenientTag, LenientText, XmlElement};
pub use strict::{ElementContent, NotStrict, StrictElement, StrictRules};
pub use writer::{DECLARATION, Escaping, close_tag, escape, escape_query, open_tag, write_element};
