"""The receiving end of delivery: verifies who sends, keeps what arrives, and tells what is missing."""
