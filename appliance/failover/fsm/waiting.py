"""Rows of a node that has, or gets, a copy: it watches the holder, and takes over when it may."""

from __future__ import annotations

from appliance.failover.fsm import guards as when
from appliance.failover.fsm.model import Action as A
from appliance.failover.fsm.model import State as S
from appliance.failover.fsm.row import WAITING, Row

ROWS: tuple[Row, ...] = (
    # Takeovers that were won or went astray, wherever the node waits.
    Row(
        "waiting.won",
        WAITING,
        when.WON,
        (),
        S.PROMOTING,
        "the voters' transaction made it the owner",
    ),
    Row(
        "waiting.diverged",
        (S.CATCHUP, *WAITING),
        when.OUTDATED & when.TAIL,
        (A.WITHDRAW_COPY,),
        S.DIVERGED,
        "it let go with writes that nobody else had, and another went on without them: they are kept before any pull",
    ),
    Row(
        "waiting.copy",
        (S.CATCHUP, S.STANDBY),
        when.COPY_OUTLIVED,
        (A.WITHDRAW_COPY,),
        None,
        "the service itself is there again; another program showed the copy, or it could not be withdrawn",
    ),
    Row(
        "waiting.stray",
        WAITING,
        when.STRAY & when.TAKEOVER_DUE & when.READ_DUE,
        (A.RELEASE, A.READ),
        None,
        "an answer was lost on the way: giving the lease back costs one round and is safe",
    ),
    Row(
        "waiting.home",
        (S.CATCHUP, *WAITING),
        when.ALONE,
        (A.WITHDRAW_COPY,),
        S.ISOLATED_RW,
        "the key holder granted it to its home, which wrote it last: it needs nobody's vote to serve",
    ),
    Row(
        "waiting.promoted",
        WAITING,
        when.PROMOTED,
        (A.TAKE_OVER,),
        None,
        "a person answers for the death, or the removal, of the one it names",
    ),
    # CATCHUP: pulls.
    Row(
        "catchup.standby",
        (S.CATCHUP,),
        when.FIT & when.ANSWERED,
        (),
        S.STANDBY,
        "it could take over now",
    ),
    Row("catchup.ask", (S.CATCHUP,), when.READ_DUE, (A.READ,), None, "while a pull goes on too, which may take long"),
    Row("catchup.pull", (S.CATCHUP,), when.CLEAN & when.PULL_DUE, (A.PULL,), None, "from whoever holds the newest"),
    Row("catchup.stay", (S.CATCHUP,), when.ALWAYS, (), None, "the pull goes on"),
    # STANDBY: watches.
    Row(
        "standby.mirror",
        (S.STANDBY,),
        when.MIRROR,
        (),
        S.RO_SERVE,
        "published documents are served everywhere, always",
    ),
    Row(
        "standby.vacant",
        (S.STANDBY,),
        when.VACANT & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT, A.READ),
        S.GRACE,
        "the holder let go, or could not renew for a whole lease",
    ),
    Row(
        "standby.unfit",
        (S.STANDBY,),
        when.VACANT & when.UNFIT,
        (A.ALARM,),
        S.CATCHUP,
        "what it has is not what should be served: it looks for better, and a person is told",
    ),
    Row(
        "standby.quiet",
        (S.STANDBY,),
        when.QUIET & when.ANSWERED & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT),
        None,
        "whoever will be needed if the lease ends is at hand by then",
    ),
    Row(
        "standby.next",
        (S.STANDBY,),
        when.NEXT & when.ANSWERED & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT),
        None,
        "clients will wait until it serves: it gets ready while the holder saves",
    ),
    Row("standby.behind", (S.STANDBY,), when.BEHIND, (), S.CATCHUP, "it could not take over now"),
    Row("standby.ask", (S.STANDBY,), when.READ_DUE, (A.READ,), None, "a watch that is silent proves nothing"),
    Row("standby.pull", (S.STANDBY,), when.CLEAN & when.NEWER, (A.PULL,), None, "a copy that keeps up loses less"),
    Row("standby.stay", (S.STANDBY,), when.ALWAYS, (), None, "the holder is there, or nobody can tell"),
    # GRACE: makes sure, and waits for its turn.
    Row("grace.back", (S.GRACE,), when.BACK, (), S.STANDBY, "the holder is back, or another was faster"),
    Row("grace.paused", (S.GRACE,), when.PAUSED, (), S.STANDBY, "a person works on it"),
    Row(
        "grace.silent",
        (S.GRACE,),
        when.SILENT,
        (),
        S.STANDBY,
        "without a majority no lease can end: nothing follows from silence",
    ),
    Row("grace.unfit", (S.GRACE,), when.UNFIT, (), S.STANDBY, "another may have a better copy"),
    Row("grace.ask", (S.GRACE,), when.READ_DUE, (A.READ,), None, "a long wait must not outlive the answer it rests on"),
    Row("grace.wait", (S.GRACE,), when.GRACE, (), None, "the best candidate first, and a holder that comes right back"),
    Row(
        "grace.copy",
        (S.GRACE,),
        when.MAY_NOT_WRITE,
        (A.SERVE_COPY,),
        S.RO_SERVE,
        "from here a dead home and a cut line look alike, and the home may be writing",
    ),
    Row(
        "grace.take",
        (S.GRACE,),
        when.MAY_WRITE & when.TAKEOVER_DUE,
        (A.TAKE_OVER,),
        None,
        "whoever is first among several wins, the others read who it is",
    ),
    Row("grace.stay", (S.GRACE,), when.ALWAYS, (), None, "the takeover is under way"),
    # RO_SERVE: the dated copy, read-only.
    Row(
        "ro-serve.back",
        (S.RO_SERVE,),
        when.BACK & when.NOT_MIRROR,
        (A.WITHDRAW_COPY,),
        S.STANDBY,
        "the service itself is there again",
    ),
    Row(
        "ro-serve.proof",
        (S.RO_SERVE,),
        when.VACANT & when.MAY_WRITE & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT, A.READ),
        S.GRACE,
        "the writer let go cleanly, which proves that it writes no more",
    ),
    Row("ro-serve.ask", (S.RO_SERVE,), when.READ_DUE, (A.READ,), None, "it ends when the writer is back"),
    Row("ro-serve.copy", (S.RO_SERVE,), when.COPY_HIDDEN, (A.SERVE_COPY,), None, "reading is better than nothing"),
    Row(
        "ro-serve.newer", (S.RO_SERVE,), when.COPY_OUTDONE, (A.SERVE_COPY,), None, "the copy shows the newest there is"
    ),
    Row("ro-serve.pull", (S.RO_SERVE,), when.CLEAN & when.NEWER, (A.PULL,), None, "somebody may read more of it"),
    Row("ro-serve.stay", (S.RO_SERVE,), when.ALWAYS, (), None, "writing here is for a person to decide"),
)
