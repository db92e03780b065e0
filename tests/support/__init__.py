"""What the tests of both packages share."""
