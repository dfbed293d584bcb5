//! Who finds what where: the navigation of each role. It shows ways in; whether somebody may go in is
//! decided by the access table, never here.

use serde::Serialize;

/// One way in.
struct Way {
    text: &'static str,
    href: &'static str,
    roles: &'static [&'static str],
}

/// In the order in which a request walks: intake → assess → search → review → respond → retain → report.
const WAYS: &[Way] = &[
    Way { text: "Intake", href: "/intake", roles: &["requester", "approver"] },
    Way { text: "Assess", href: "/assess", roles: &["assessor", "team-leader"] },
    Way { text: "Search", href: "/search", roles: &["assessor"] },
    Way { text: "Review", href: "/review", roles: &["examiner"] },
    Way { text: "Respond", href: "/respond", roles: &["assessor"] },
    Way { text: "Respond", href: "/respond/answers", roles: &["requester"] },
    Way { text: "Retain", href: "/retain", roles: &["siao", "auditor"] },
    Way { text: "Report", href: "/report", roles: &["siao", "auditor", "team-leader"] },
    Way { text: "Register", href: "/register", roles: &["registrar", "siao", "auditor"] },
];

/// One navigation item as the layout shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    text: &'static str,
    href: &'static str,
    active: bool,
    current: bool,
}

/// The navigation of somebody with these roles, seen from `path`.
pub(crate) fn items(roles: &[String], path: &str) -> Vec<Item> {
    WAYS.iter()
        .filter(|way| way.roles.iter().any(|r| roles.iter().any(|have| have == r)))
        .map(|way| Item {
            text: way.text,
            href: way.href,
            active: path.strip_prefix(way.href).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            current: path == way.href,
        })
        .collect()
}

/// Where somebody with these roles begins.
pub(crate) fn first(roles: &[String]) -> &'static str {
    items(roles, "").first().map_or("/policy", |item| item.href)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_navigation_follows_the_walk_of_a_request() {
        let texts: Vec<_> = items(&["assessor".into(), "examiner".into()], "/review/7").iter().map(|i| (i.text, i.active)).collect();
        assert_eq!(texts, [("Assess", false), ("Search", false), ("Review", true), ("Respond", false)]);
        assert!(items(&["assessor".into()], "/assessments").iter().all(|i| !i.active), "a prefix of a word is not the word");
        assert_eq!(first(&["registrar".into()]), "/register");
    }
}
