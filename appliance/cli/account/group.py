"""`appliance account`: who works at this town hall; one password for the shares and the pages."""

from __future__ import annotations

from appliance.cli.commands import Entry
from appliance.cli.group import LazyGroup

VERBS = {
    "add": Entry("account.accounts", "add", "Add the account NAME, such as marie.dupont, with a password."),
    "change": Entry(
        "account.accounts", "change_", "Change the full name or the groups of NAME: all groups, each with --group."
    ),
    "disable": Entry(
        "account.accounts", "disable", "Disable NAME until it is enabled again, and end its open sessions."
    ),
    "enable": Entry("account.accounts", "enable", "Enable NAME again, with its former password."),
    "feed": Entry("internal.account", "sync", now="internal account sync"),
    "list": Entry(
        "account.accounts", "list_", "List the accounts, including those of nodes for which this one stands in."
    ),
    "passwd": Entry("account.accounts", "passwd", "Change the password of NAME."),
    "remove": Entry("account.accounts", "remove", "Remove the account NAME."),
    "code-sheet": Entry(
        "account.accounts",
        "code_sheet",
        "Print the code sheet of NAME for the pages: a picture for a phone, and codes that each work once.",
    ),
    "sheet": Entry("account.accounts", "code_sheet", now="account code-sheet"),
}

account = LazyGroup(
    "account",
    entries=VERBS,
    help="Manage the accounts of people at this town hall. Passwords are typed, or the first line of standard input; "
    "never an argument.",
)
