//! What stands beside an image in its registry and may vouch for it. Who reads it believes none of it.

/// Something beside an image, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// A bundle of Sigstore: a signature or an attestation, with its proofs.
    Bundle(Vec<u8>),
    /// A signature of cosign's older form: of the text that is its content.
    Simple { layer: Layer, signature: String },
    /// An attestation of cosign's older form: an envelope that holds its signature.
    Envelope(Layer),
    /// What is too large to be read.
    TooLarge,
}

/// A layer of the older form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) content: Vec<u8>,
    /// Where no key has signed.
    pub(crate) proof: Option<Proof>,
}

/// Who has signed, and that a log knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// In PEM.
    pub(crate) certificate: String,
    /// What the log promised, in JSON.
    pub(crate) entry: Option<String>,
}
