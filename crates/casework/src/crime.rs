//! The serious-crime test (A7), limb by limb.

use serde::{Deserialize, Serialize};

/// Answers to the test's questions; `None` is *not answered*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeriousCrimeTest {
    /// Limb (a): a sexual offence.
    pub sexual_offence: Option<bool>,
    /// Limb (b), first half: normally capable of at least 2 years' imprisonment.
    pub two_years: Option<bool>,
    /// Limb (b), second half: involves violence.
    pub violence: bool,
    /// Limb (b), second half: involves grooming.
    pub grooming: bool,
    /// Limb (b), second half: involves online criminality.
    pub online: bool,
    /// Limb (b), second half: could result in substantial financial gain.
    pub gain: bool,
}

/// The limb that makes a crime serious.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limb {
    /// (a) any sexual offence.
    A,
    /// (b) two years, and violence, grooming, online criminality or substantial gain.
    B,
}

impl Limb {
    /// The limb in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::A => "limb (a): it is a sexual offence",
            Self::B => {
                "limb (b): it is capable of a sentence of at least 2 years and involves violence, grooming, online criminality or substantial financial gain"
            }
        }
    }
}

/// Why the test is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailedLimb {
    /// (a) not a sexual offence.
    NotSexual,
    /// (b) not capable of two years.
    NotTwoYears,
    /// (b) none of violence, grooming, online criminality, gain.
    NoAggravation,
}

impl FailedLimb {
    /// The failure in words, naming its limb.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NotSexual => "limb (a) is not met: it is not a sexual offence",
            Self::NotTwoYears => "limb (b) is not met: it would not normally be capable of a sentence of at least 2 years",
            Self::NoAggravation => {
                "limb (b) is not met: it involves no violence, grooming or online criminality and could not result in substantial financial gain"
            }
        }
    }
}

impl SeriousCrimeTest {
    /// Runs the test. Unanswered questions count as *no*.
    ///
    /// # Errors
    /// Every limb, or half of a limb, that failed.
    pub fn run(&self) -> Result<Limb, Vec<FailedLimb>> {
        if self.sexual_offence == Some(true) {
            return Ok(Limb::A);
        }
        let two_years = self.two_years == Some(true);
        let aggravated = self.violence || self.grooming || self.online || self.gain;
        if two_years && aggravated {
            return Ok(Limb::B);
        }
        let mut failed = vec![FailedLimb::NotSexual];
        if !two_years {
            failed.push(FailedLimb::NotTwoYears);
        }
        if !aggravated {
            failed.push(FailedLimb::NoAggravation);
        }
        Err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_every_combination_follows_the_guidance() {
        for bits in 0u8..64 {
            let on = |n: u8| bits & (1 << n) != 0;
            let t = SeriousCrimeTest {
                sexual_offence: Some(on(0)),
                two_years: Some(on(1)),
                violence: on(2),
                grooming: on(3),
                online: on(4),
                gain: on(5),
            };
            let serious = on(0) || (on(1) && (on(2) || on(3) || on(4) || on(5)));
            assert_eq!(t.run().is_ok(), serious, "{t:?}");
        }
    }

    #[test]
    fn a7_names_the_limb_that_failed() {
        let t = SeriousCrimeTest { sexual_offence: Some(false), two_years: Some(false), online: true, ..Default::default() };
        assert_eq!(t.run(), Err(vec![FailedLimb::NotSexual, FailedLimb::NotTwoYears]));
        assert!(FailedLimb::NotTwoYears.words().contains("limb (b)"));
    }
}
