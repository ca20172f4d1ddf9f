//! The smaller sizes in which pictures are served.

/// A size in which pictures are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviewSize {
    /// At most 320 pixels on each side.
    Small,
    /// At most 1,280 pixels on each side.
    Large,
}

impl PreviewSize {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// The name in addresses and in the storage.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }

    /// The most pixels on each side.
    pub(super) fn side(self) -> u32 {
        match self {
            Self::Small => 320,
            Self::Large => 1_280,
        }
    }
}
