//! Settings that are one of a few words, read where the type is.

/// A setting that is one of a few words.
pub trait WordSetting: Copy + 'static {
    /// Each value with the word that stands for it, in the order in which a mistake lists them.
    const WORDS: &'static [(&'static str, Self)];
}
