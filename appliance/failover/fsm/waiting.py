"""Rows of a node that has, or gets, a copy: it watches the holder, and takes over when it may.

Two rows decide a takeover: `grace.take`, by the end of the lease (`facts.py: Facts.may_write_when_vacant`), and
`waiting.promoted`, by an operator's act. `standby.vacant` comes before `grace.take` and takes nothing yet.
"""

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
        when.OUTDATED & when.UNREPLICATED,
        (A.WITHDRAW_COPY,),
        S.DIVERGED,
        "it released the lease with unreplicated writes, and another node continued without them: they are saved "
        "before any pull",
    ),
    Row(
        "waiting.copy",
        (S.CATCHUP, S.STANDBY),
        when.COPY_OUTLIVED,
        (A.WITHDRAW_COPY,),
        None,
        "the service itself is back; another program showed the copy, or it could not be withdrawn",
    ),
    Row(
        "waiting.stray",
        WAITING,
        when.ORPHAN_LEASE & when.TAKEOVER_DUE & when.READ_DUE,
        (A.RELEASE, A.READ),
        None,
        "an answer was lost: returning the lease costs one round and is safe",
    ),
    Row(
        "waiting.home",
        (S.CATCHUP, *WAITING),
        when.ALONE,
        (A.WITHDRAW_COPY,),
        S.ISOLATED_RW,
        "the holder of the territory key granted it to its origin, which wrote it last: it needs no vote to serve",
    ),
    Row(
        "waiting.promoted",
        WAITING,
        when.PROMOTED,
        (A.TAKE_OVER,),
        None,
        "an operator answers for the death, or the removal, of the old writer",
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
    Row("catchup.ask", (S.CATCHUP,), when.READ_DUE, (A.READ,), None, "even during a pull, which may take long"),
    Row(
        "catchup.pull", (S.CATCHUP,), when.CLEAN & when.PULL_DUE, (A.PULL,), None, "from the node that holds the newest"
    ),
    Row("catchup.stay", (S.CATCHUP,), when.ALWAYS, (), None, "the pull continues"),
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
        "the lease was released, or was not renewed for its whole duration",
    ),
    Row(
        "standby.unfit",
        (S.STANDBY,),
        when.VACANT & when.UNFIT,
        (A.ALARM,),
        S.CATCHUP,
        "its copy should not be served: it looks for a better one, and a person is informed",
    ),
    Row(
        "standby.quiet",
        (S.STANDBY,),
        when.HOLDER_SILENT & when.ANSWERED & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT),
        None,
        "the helpers needed if the lease expires are ready by then",
    ),
    Row(
        "standby.next",
        (S.STANDBY,),
        when.MOVED_HERE & when.ANSWERED & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT),
        None,
        "clients will wait until it serves: it prepares while the lease holder saves",
    ),
    Row("standby.behind", (S.STANDBY,), when.BEHIND, (), S.CATCHUP, "it could not take over now"),
    Row("standby.ask", (S.STANDBY,), when.READ_DUE, (A.READ,), None, "a silent watch proves nothing"),
    Row("standby.pull", (S.STANDBY,), when.CLEAN & when.NEWER, (A.PULL,), None, "a copy that keeps up loses less"),
    Row("standby.stay", (S.STANDBY,), when.ALWAYS, (), None, "the lease holder is alive, or its state is not known"),
    # GRACE: makes sure, and waits for its turn.
    Row(
        "grace.back",
        (S.GRACE,),
        when.HELD_BY_ANOTHER,
        (),
        S.STANDBY,
        "the lease holder is back, or another node was faster",
    ),
    Row("grace.paused", (S.GRACE,), when.PAUSED, (), S.STANDBY, "an operator works on it"),
    Row(
        "grace.silent",
        (S.GRACE,),
        when.SILENT,
        (),
        S.STANDBY,
        "without a majority no lease can expire: silence proves nothing",
    ),
    Row("grace.unfit", (S.GRACE,), when.UNFIT, (), S.STANDBY, "another node may have a better copy"),
    Row(
        "grace.ask",
        (S.GRACE,),
        when.READ_DUE,
        (A.READ,),
        None,
        "a long wait must not outlast the answer that it relies on",
    ),
    Row(
        "grace.wait",
        (S.GRACE,),
        when.GRACE,
        (),
        None,
        "the best candidate goes first, or the lease holder if it comes back",
    ),
    Row(
        "grace.copy",
        (S.GRACE,),
        when.MAY_NOT_WRITE,
        (A.SERVE_COPY,),
        S.RO_SERVE,
        "from here a dead origin and a cut link look alike, and the origin may be writing",
    ),
    Row(
        "grace.take",
        (S.GRACE,),
        when.MAY_WRITE & when.TAKEOVER_DUE,
        (A.TAKE_OVER,),
        None,
        "the first of several wins, the others read the result",
    ),
    Row("grace.stay", (S.GRACE,), when.ALWAYS, (), None, "the takeover is under way"),
    # RO_SERVE: the dated copy, read-only.
    Row(
        "ro-serve.back",
        (S.RO_SERVE,),
        when.HELD_BY_ANOTHER & when.NOT_MIRROR,
        (A.WITHDRAW_COPY,),
        S.STANDBY,
        "the service itself is back",
    ),
    Row(
        "ro-serve.proof",
        (S.RO_SERVE,),
        when.VACANT & when.MAY_WRITE & when.FIT & when.COOLED,
        (A.WAKE, A.EXPECT, A.READ),
        S.GRACE,
        "the writer released cleanly, which proves that it writes no more",
    ),
    Row("ro-serve.ask", (S.RO_SERVE,), when.READ_DUE, (A.READ,), None, "it ends when the writer is back"),
    Row("ro-serve.copy", (S.RO_SERVE,), when.COPY_HIDDEN, (A.SERVE_COPY,), None, "reading is better than nothing"),
    Row("ro-serve.newer", (S.RO_SERVE,), when.STALE_VIEW, (A.SERVE_COPY,), None, "the copy shows the newest there is"),
    Row("ro-serve.pull", (S.RO_SERVE,), when.CLEAN & when.NEWER, (A.PULL,), None, "clients may read more of it"),
    Row("ro-serve.stay", (S.RO_SERVE,), when.ALWAYS, (), None, "a person must decide whether to write here"),
)
