"""Attacks of the outside readings that need another world than vaults and disks, and the test that plays each."""

ELSEWHERE: dict[str, str] = {
    "more headers than a frame holds": (
        "tests/integration/vault_worlds/test_push_long_chain.py::test_a_fetch_of_more_headers_than_a_frame_holds_brings_them_all"
    ),
    "a silent peer has what a planned move left behind": (
        "tests/integration/failover/test_silent_peers.py::test_a_planned_move_beside_silent_storage_peers_loses_nothing"
    ),
    "smbd answers what came before the snapshot of a move": (
        "tests/integration/failover/test_held_answers.py::"
        "test_a_request_that_came_before_the_hold_is_carried_out_and_its_client_hears_nothing_until_it_may"
    ),
    "a bundle makes leases shorter": (
        "tests/unit/failover/test_promoted.py::"
        "test_who_is_deposed_is_waited_for_as_long_as_its_lease_was_begun_though_a_bundle_made_leases_shorter"
    ),
    "a guest is paused with its clock": (
        "tests/integration/failover/test_stopped_clock.py::"
        "test_a_writer_whose_clock_stood_still_ends_within_a_lease_and_nothing_that_it_took_is_lost_or_stored"
    ),
    "a takeover is forged into etcd": (
        "tests/integration/failover/test_takeover.py::"
        "test_a_takeover_forged_into_etcd_gets_no_grant_while_the_holder_lives"
    ),
    "the store of the voters is emptied": (
        "tests/integration/failover/test_takeover.py::test_whoever_empties_the_voters_store_gives_no_other_node_an_epoch"
    ),
    "an exporter has a label too many": (
        "tests/integration/monitor/test_hostile_scrape.py::"
        "test_the_late_backup_of_another_town_is_told_beside_a_node_with_a_label_too_many"
    ),
    "a title is a setting of Samba": (
        "tests/integration/share/test_hostile_text.py::"
        "test_a_text_that_injects_is_refused_or_changes_no_line_of_a_file_that_root_writes"
    ),
    "a published site says that it is a PDF": (
        "tests/integration/portal/test_published.py::test_a_browser_is_told_one_kind_of_a_list_whatever_the_site_says"
    ),
    "what lies in a browser, a form or a session is forged": (
        "tests/integration/portal/test_attacks.py::test_a_form_of_another_site_does_nothing_even_with_the_token"
    ),
    "wrong passwords keep others out": (
        "tests/unit/portal/test_sign_in.py::test_wrong_passwords_at_one_address_keep_nobody_out_at_another"
    ),
    "pages of a catalogue rot": (
        "tests/unit/restore/test_catalogue_damage.py::"
        "test_a_catalogue_with_rotten_inner_pages_is_removed_and_read_again"
    ),
    "a vault is made to hold much in its memory": (
        "tests/integration/vault/test_vault_memory.py::test_a_vault_that_takes_300_mb_stays_under_30_mib"
    ),
    "sessions that never end": (
        "tests/integration/vault/test_vault_hostile.py::test_sessions_that_never_end_keep_nobody_else_out"
    ),
}
