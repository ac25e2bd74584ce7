"""One borg repository per service, sealed as generations and kept by peers who cannot read them."""
