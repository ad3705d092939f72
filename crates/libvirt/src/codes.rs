//! Numbers with names: libvirt's enumerations, open at the end because newer daemons add to them.

macro_rules! codes {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $number:literal $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vmeta])* #[doc = $text] $variant,)+
            /// A number this client does not know.
            Other(i32),
        }

        impl $name {
            /// From libvirt's number.
            pub fn from_code(code: i32) -> Self {
                match code {
                    $($number => Self::$variant,)+
                    other => Self::Other(other),
                }
            }

            /// libvirt's number.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$variant => $number,)+
                    Self::Other(other) => other,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)+
                    Self::Other(other) => write!(f, "unknown ({other})"),
                }
            }
        }
    };
}
pub(crate) use codes;
