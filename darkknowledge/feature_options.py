"""Options of the feature stage; imports nothing heavy, so that a study can be read quickly."""

from typing import Literal

from pydantic import Field

from darkknowledge.options import Options

Window = Literal["povey", "hamming", "hanning", "rectangular", "blackman"]


class MfccOptions(Options):
    """Mel-frequency cepstral coefficients for the Gaussian mixture models."""

    coefficients: int = Field(13, ge=2, le=80, description="Cepstra per frame, C0 included.")
    mel_bins: int = Field(23, ge=3, le=128, description="Triangular mel filters before the DCT.")
    low: float = Field(20.0, ge=0, description="Lower edge of the first filter, Hz.")
    high: float = Field(
        0.0, description="Upper edge of the last filter, Hz; zero or less counts from Nyquist."
    )
    lifter: float = Field(22.0, ge=0, description="Cepstral lifter; 0 turns it off.")
    energy: bool = Field(False, description="Replace C0 by the log energy of the frame.")
    window: Window = Field("povey", description="Analysis window; povey is Kaldi's default.")


class FbankOptions(Options):
    """Log-mel filter banks for the networks; the defaults are those of Kaldi's Aurora4 recipe."""

    bins: int = Field(40, ge=3, le=128, description="Triangular mel filters per frame.")
    low: float = Field(64.0, ge=0, description="Lower edge of the first filter, Hz.")
    high: float = Field(
        0.0,
        description="Upper edge of the last filter, Hz; zero or less counts from Nyquist "
        "(Aurora4's 8000 Hz is Nyquist at 16 kHz).",
    )
    window: Window = Field("hamming", description="Analysis window; Aurora4 uses hamming.")


class FeatureOptions(Options):
    """Framing shared by both kinds of features, and the options of each."""

    frame_length: float = Field(25.0, gt=0, le=200, description="Length of a frame, ms.")
    frame_shift: float = Field(10.0, gt=0, le=100, description="From frame to frame, ms.")
    preemphasis: float = Field(0.97, ge=0, lt=1, description="Pre-emphasis coefficient.")
    dither: float = Field(
        1.0,
        ge=0,
        description="Standard deviation of Gaussian noise added to the 16-bit samples, as Kaldi's "
        "default. Without it digital silence, such as MP3 leaves, is a frame far from all others, "
        "and a speaker who has some is normalised wrongly. Seeded by the name of the utterance, "
        "so that a second run gives the same bytes.",
    )
    snip_edges: bool = Field(
        True, description="Only frames that lie wholly inside the recording (Kaldi's default)."
    )
    mfcc: MfccOptions = Field(MfccOptions(), description="Cepstra for the GMM-HMM stages.")
    fbank: FbankOptions = Field(FbankOptions(), description="Filter banks for the networks.")
