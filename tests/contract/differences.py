"""What Chroma's own server does differently, test by test, and why; `chroma_nb.http.emulation` lists the same by subject.

A test named here is skipped on that server. Its name alone stands for all its parameters, ``name[part]`` for those whose id
contains the part.
"""

from __future__ import annotations

from typing import Any

NO_ORDER = "keeps metadata without the order of its keys, so columns come in that of the alphabet"
FLOAT32 = "computes distances in float32"
FORGETS = "does not tell which embeddings changed, so that every change means a new layout"
NO_TENANTS = "has no route that lists tenants"
OWN_WORDS = "says the same in its own words, without our advice"

DIFFERENCES: dict[str, str] = {
    "test_a_backend_answers": "has a version of its own",
    "test_a_collection_is_found_by_its_name": NO_ORDER,
    "test_a_collection_shows_itself_escaped_and_bounded": NO_ORDER,
    "test_a_client_lists_its_collections": "lists collections in no order, and does not tell when they were made",
    "test_a_deleted_collection_is_gone_for_every_object": OWN_WORDS,
    "test_a_function_of_ones_own_must_be_given_again": "drops the name of a function that has no name() of its own",
    "test_a_missing_collection_is_named_and_a_near_one_suggested": OWN_WORDS,
    "test_a_poisoned_record_spoils_nothing_that_comes_after": "fails for good over a record with 10,000 keys, in its background work",
    "test_any_metadata_comes_back": "refuses keys such as '' and '$x', and knows no instants",
    "test_bad_names_of_tenants_and_databases": NO_TENANTS,
    "test_collections_are_listed_in_the_order_they_were_made": "lists collections in no order, and does not tell when they were made",
    "test_databases_are_made_listed_and_deleted": NO_TENANTS,
    "test_datetimes_are_exact_and_have_an_order": "knows no instants; they become text",
    "test_describe_tells_what_is_there": NO_ORDER,
    "test_explain_tells_how_and_over_how_many": "does not tell how it searches",
    "test_filters_apply_before_ranking[cosine]": FLOAT32,
    "test_get_returns_all_in_the_order_they_were_added": NO_ORDER,
    "test_hostile_texts_are_documents_keys_and_values_like_any_other": "refuses keys that begin with a sign of its own",
    "test_include_chooses_the_columns[metadatas]": NO_ORDER,
    "test_many_new_records_are_worth_a_new_layout": FORGETS,
    "test_modify_changes_search_parameters_and_never_the_space": "does not tell num_threads",
    "test_more_like_a_record": "answers from a graph, where ties come in any order",
    "test_new_records_are_placed_and_the_others_stay": FORGETS,
    "test_names_of_tenants_and_databases_are_taken_once": NO_TENANTS,
    "test_numbers_compare_exactly_and_bools_are_no_numbers": "compares whole numbers beyond 2**53 as floats",
    "test_numpy_values_become_plain_ones": NO_ORDER,
    "test_reset_deletes_everything_for_everybody": NO_TENANTS,
    "test_the_nearest_come_first": f"{FLOAT32}, and {NO_ORDER}",
    "test_ties_come_in_the_order_they_were_added": "answers from a graph, where ties come in any order",
    "test_values_keep_their_type_to_the_last_bit": "keeps no sign of zero",
}


def difference(node: Any) -> str | None:
    """Return why a test cannot hold on Chroma's server; None if it should."""
    name = node.originalname
    whole = DIFFERENCES.get(name)
    if whole is not None:
        return whole
    for pattern, reason in DIFFERENCES.items():
        test, _, part = pattern.rstrip("]").partition("[")
        if part and test == name and part in node.name:
            return reason
    return None
