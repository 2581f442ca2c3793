//! A macro for enums that are a closed set of words in files.

/// Declares such an enum: each variant with its word, `ALL`, `as_str`, `meaning` and `Display`.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize,
            ::schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[doc = $vdoc])+ #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every word, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word used in files.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// What the word means, as the reference says it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($vdoc),+)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use words;
