//! Sizes, rates and durations as people write and read them.

use std::time::Duration;

use renkei_types::size::{ByteSize, Elapsed, Rate, SizeError, parse_mscp_bit_rate, parse_mscp_size};

fn bytes(text: &str) -> Option<u64> {
    text.parse().ok().map(|ByteSize(bytes)| bytes)
}

#[test]
fn bare_letters_are_decimal_and_those_with_i_binary() {
    for (text, want) in [
        ("0", 0),
        ("500", 500),
        ("500B", 500),
        ("64k", 64_000),
        ("64K", 64_000),
        ("64Ki", 65_536),
        ("10MiB", 10 << 20),
        ("500M", 500_000_000),
        ("500 MB", 500_000_000),
        ("1.5G", 1_500_000_000),
        ("0.5Ki", 512),
        ("2t", 2_000_000_000_000),
        ("1P", 1_000_000_000_000_000),
        ("1.0000000000000000001k", 1000),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(bytes(text), Some(want), "{text}");
    }
}

#[test]
fn what_is_no_size_is_refused_with_its_reason() {
    let error = |text: &str| text.parse::<ByteSize>().unwrap_err();
    for text in ["", "M", "-1", ".5M", "1.", "1..2", "1.2.3", "ten"] {
        assert!(
            matches!(error(text), SizeError::NotANumber(_)),
            "{text}: {:?}",
            error(text)
        );
    }
    for text in ["5Mb", "5x", "5i", "5Mi/s", "5 M B", "5é"] {
        assert!(
            matches!(error(text), SizeError::UnknownUnit { .. }),
            "{text}: {:?}",
            error(text)
        );
    }
    for text in [
        "18446744073709551616",
        "20000P",
        "99999999999999999999999999999999999999999",
    ] {
        assert!(
            matches!(error(text), SizeError::TooLarge(_)),
            "{text}: {:?}",
            error(text)
        );
    }
    assert!(error("5Mb").to_string().contains("`Mb`"));
}

#[test]
fn a_rate_may_say_per_second() {
    assert_eq!("500M".parse(), Ok(Rate(500_000_000)));
    assert_eq!("500MB/s".parse(), Ok(Rate(500_000_000)));
    assert_eq!("1Mi/s".parse(), Ok(Rate(1 << 20)));
}

#[test]
fn mscp_reads_sizes_binary_and_rates_in_decimal_bits() {
    assert_eq!(parse_mscp_size("16m"), Ok(ByteSize(16 << 20)));
    assert_eq!(parse_mscp_size("64K"), Ok(ByteSize(64 << 10)));
    assert_eq!(parse_mscp_size("1g"), Ok(ByteSize(1 << 30)));
    assert_eq!(parse_mscp_size("16384"), Ok(ByteSize(16384)));
    assert_eq!(parse_mscp_bit_rate("100m"), Ok(Rate(12_500_000)));
    assert_eq!(parse_mscp_bit_rate("1G"), Ok(Rate(125_000_000)));
    assert_eq!(parse_mscp_bit_rate("1"), Ok(Rate(1)));
    assert_eq!(parse_mscp_bit_rate("0"), Ok(Rate(0)));
    for text in ["", "k", "1.5m", "1t", "1mb", "1 m", "-1"] {
        assert!(parse_mscp_size(text).is_err(), "{text}");
        assert!(parse_mscp_bit_rate(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_show_three_figures() {
    for (bytes, want) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1_240_000_000, "1.24 GB"),
        (9_994_999, "9.99 MB"),
        (9_995_000, "10.0 MB"),
        (31_000_000, "31.0 MB"),
        (99_960_000, "100 MB"),
        (310_000_000, "310 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1.00 GB"),
        (u64::MAX, "18.4 EB"),
    ] {
        assert_eq!(ByteSize(bytes).to_string(), want);
    }
    assert_eq!(Rate(310_400_000).to_string(), "310 MB/s");
    assert_eq!(format!("{:>10}|", ByteSize(999)), "     999 B|");
}

#[test]
fn durations_show_two_units() {
    for (seconds, want) in [
        (0.0, "0.00 s"),
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1m 00s"),
        (123.0, "2m 03s"),
        (3599.6, "1h 00m"),
        (18_420.0, "5h 07m"),
        (86_400.0 * 3.0 + 4.0 * 3600.0, "3d 04h"),
    ] {
        assert_eq!(Elapsed(Duration::from_secs_f64(seconds)).to_string(), want);
    }
}
