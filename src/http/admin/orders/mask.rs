//! What of a buyer is shown to those who look at an order: enough to tell one from another. The
//! whole is shown on request, and each look is written down.

use crate::domain::address::Address;

/// Stands for what is not shown.
const HIDDEN: &str = "***";
/// Of a phone: so many characters in front and behind are shown, of one with at least eleven.
const PHONE_SHOWN: (usize, usize) = (3, 4);

/// The address with name, phone and street hidden.
pub fn address(address: Address) -> Address {
    Address {
        name: name(&address.name),
        phone: phone(&address.phone),
        detail: HIDDEN.to_owned(),
        ..address
    }
}

fn name(name: &str) -> String {
    name.chars().take(1).chain("**".chars()).collect()
}

fn phone(phone: &str) -> String {
    let all: Vec<char> = phone.chars().collect();
    let (front, behind) = PHONE_SHOWN;
    if all.len() < front + behind + 4 {
        return HIDDEN.to_owned();
    }
    let last = &all[all.len() - behind..];
    all[..front].iter().chain("****".chars().collect::<Vec<_>>().iter()).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_first_sign_and_a_phone_its_ends() {
        assert_eq!(name("王小明"), "王**");
        assert_eq!(name(""), "**");
        assert_eq!(phone("13812345678"), "138****5678");
        assert_eq!(phone("12345"), "***");
    }
}
