"""The dbt project as a document: what is described, tagged, promised and tested in it; and dbt as a subprocess."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt_nights import TOY_LISTS, TOY_REASONS, Built, build
from recorded_dbt import Recorded
from toy import RUN_DATE, write_raw, write_shop

from recsys import dbt
from recsys.contracts import CONTRACTS
from recsys.database import connect, small_frame
from recsys.errors import ConfigError, FeaturesFailed
from recsys.night import Night
from recsys.vocabulary import ContactChannel, Source, Status

PROJECT = dbt.project_folder()
PERSONAL = {column.name for contract in CONTRACTS.values() for column in contract.columns if column.personal}
PERSONAL_BY_ANOTHER_NAME = {"address", "person_id", "from_id", "to_id", "id"}
UNSTABLE = re.compile(
    r"\b(any_value|arbitrary|first|last|mode|avg|mean|fsum|kahan_sum|approx_\w+)\s*\("
    r"|\b(string_agg|list|array_agg)\s*\((?![^()]*\border by\b)"
    r"|\b(arg_min|arg_max|random|uuid|now|today|getdate)\s*\(|\bcurrent_(date|timestamp|time)\b|(?<!')\blimit\b"
    r"|\bis not false\b|\bnot in \(\s*select\b",
    re.IGNORECASE,
)
"""What may differ from run to run or day to day, and two questions about permission that take unknown for yes."""


@pytest.fixture(scope="module")
def manifest(toy_night: Built) -> dict[str, Any]:
    return json.loads((toy_night.target / "manifest.json").read_text())


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def second(record: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The toy night once more, for dbt to leave there what it likes."""
    night = Night(write_shop(tmp_path_factory.mktemp("second")), RUN_DATE)
    write_raw(night)
    with record.instead_of_dbt():
        return build(night, TOY_LISTS, TOY_REASONS).night


def folder_of(model: dict[str, Any]) -> str:
    return Path(model["path"]).parts[0]


def tags_of(column: dict[str, Any]) -> list[str]:
    return [*column["tags"], *column["config"]["tags"]]


def test_the_sources_of_the_shop_are_the_contracts(manifest: dict[str, Any]) -> None:
    sources = {node["name"]: node for node in manifest["sources"].values() if node["source_name"] == "shop"}
    assert set(sources) == set(CONTRACTS)
    for name, contract in CONTRACTS.items():
        declared = [
            (column["name"], column["data_type"], column["description"], "personal" in tags_of(column))
            for column in sources[name]["columns"].values()
        ]
        assert declared == [
            (column.name, column.type.lower(), column.description, column.personal) for column in contract.columns
        ], name


def test_every_source_table_has_one_staging_model_that_renames_and_casts_only(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    staging = {name: model for name, model in models.items() if folder_of(model) == "staging"}
    sources = {f"stg_{node['source_name']}__{node['name']}" for node in manifest["sources"].values()}
    assert set(staging) == sources
    for name, model in staging.items():
        assert model["config"]["materialized"] == "view"
        assert not re.search(r"\b(where|join|group by|case|coalesce|distinct)\b", model["raw_code"]), name


def test_layers_name_their_models(models: dict[str, dict[str, Any]]) -> None:
    patterns = {
        "staging": r"stg_(shop|night)__\w+",
        "intermediate": r"int_[a-z_]+__[a-z]+e[dn]|int_consents__current",
        "marts": r"(dim|fct|customer|product|category)_\w+",
        "exports": r"sync_\w+__\w+",
    }
    for name, model in models.items():
        assert re.fullmatch(patterns[folder_of(model)], name), name


def test_models_stand_in_the_schemas_that_are_promised(models: dict[str, dict[str, Any]]) -> None:
    assert {model["schema"] for model in models.values()} == {
        *("staging", "intermediate", "core", "features", "marketing", "exports")
    }
    assert all((folder_of(model) == "exports") == (model["schema"] == "exports") for model in models.values())


def test_every_model_belongs_to_exactly_one_stage(models: dict[str, dict[str, Any]]) -> None:
    for name, model in models.items():
        assert len({"features", "decide"} & set(model["tags"])) == 1, name


def test_everything_is_described(manifest: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    for node in (*models.values(), *manifest["sources"].values(), *manifest["exposures"].values()):
        assert node["description"], node["name"]
        undescribed = [name for name, column in node.get("columns", {}).items() if not column["description"]]
        assert not undescribed, node["name"]
    for name, model in models.items():
        assert model["description"].startswith("One row"), name


def test_the_columns_described_are_the_columns_there_are(toy_night: Built, models: dict[str, dict[str, Any]]) -> None:
    query = "SELECT table_name, column_name FROM information_schema.columns ORDER BY table_name, ordinal_position"
    with connect(toy_night.night.warehouse, read_only=True) as con:
        rows = small_frame(con, query).rows()
    built: dict[str, list[str]] = {}
    for table, column in rows:
        built.setdefault(table, []).append(column)
    assert built == {name: list(model["columns"]) for name, model in models.items()}


def test_personal_columns_are_tagged_wherever_they_occur(
    manifest: dict[str, Any], models: dict[str, dict[str, Any]]
) -> None:
    assert len(PERSONAL) == 7
    for node in (*models.values(), *manifest["sources"].values()):
        tagged = {name for name, column in node["columns"].items() if "personal" in tags_of(column)}
        assert tagged == set(node["columns"]) & (PERSONAL | PERSONAL_BY_ANOTHER_NAME), node["name"]


def test_marts_and_exports_keep_an_enforced_contract(models: dict[str, dict[str, Any]]) -> None:
    for name, model in models.items():
        assert model["contract"]["enforced"] is (folder_of(model) in {"marts", "exports"}), name


def test_marts_and_exports_have_a_tested_key(manifest: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") in {"unique", "unique_together"}
    }
    for name, model in models.items():
        if model["contract"]["enforced"]:
            assert model["unique_id"] in tested, name


def test_everything_that_leaves_has_an_owner(manifest: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    exposures = {node["name"]: node for node in manifest["exposures"].values()}
    assert set(exposures) == {"email_file", "crm_file", "tool", "check_in", "catalogue", "analysts_database"}
    assert all(exposure["owner"]["name"] for exposure in exposures.values())
    leaving = {node for exposure in exposures.values() for node in exposure["depends_on"]["nodes"]}
    assert leaving == {model["unique_id"] for model in models.values() if model["contract"]["enforced"]}


def accepted(manifest: dict[str, Any], model: str, column: str) -> list[str]:
    (values,) = [
        node["test_metadata"]["kwargs"]["values"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("test_metadata", {}).get("name") == "accepted_values"
        and node["attached_node"] == f"model.recsys.{model}"
        and node["column_name"] == column
    ]
    return values


def test_words_are_those_of_the_vocabulary(toy_night: Built, manifest: dict[str, Any]) -> None:
    channels = [channel.value for channel in ContactChannel]
    assert accepted(manifest, "customer_contactability", "contact_channel") == channels
    assert accepted(manifest, "fct_decisions", "status") == [status.value for status in Status]
    assert accepted(manifest, "fct_recommendations", "source") == [
        source.value for source in Source.__members__.values()
    ]
    query = "SELECT DISTINCT contact_channel FROM marketing.customer_contactability ORDER BY ALL"
    with connect(toy_night.night.warehouse, read_only=True) as con:
        assert small_frame(con, query).get_column("contact_channel").to_list() == sorted(channels)


def test_no_model_uses_what_may_differ_from_run_to_run(models: dict[str, dict[str, Any]]) -> None:
    for name, model in models.items():
        code = re.sub(r"--.*", "", model["raw_code"])
        found = UNSTABLE.search(code)
        assert found is None, f"{name}: {found}"


def test_nothing_is_sent_to_anybody() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())
    assert project["flags"] == {"send_anonymous_usage_stats": False}
    assert not (PROJECT / "packages.yml").exists()


def test_unit_tests_pass(second: Night) -> None:
    nodes = dbt.run(second, "test", "--select", "test_type:unit")
    assert {node.status for node in nodes} == {"pass"}
    covered = {node.name.split(".")[2] for node in nodes if node.name.startswith("unit_test.")}
    assert covered == {
        "int_visitors__resolved",
        "int_interactions__weighted",
        "int_customers__addressed",
        "int_customers__matched",
        "int_consents__current",
        "int_suppressions__matched",
        "int_suppressions__unmatched",
        "int_engagements__suppressed",
        "int_addresses__claimed",
        "int_recipients__named",
        "int_addresses__objected",
        "int_customers__permitted",
        "int_order_lines__attributed",
        "int_web_events__attributed",
        "int_preferences__paused",
        "dim_products",
        "fct_interactions",
        "product_popularity",
        "int_popularity__localised",
        "customer_features",
        "customer_contactability",
        "fct_decisions",
        "fct_removals",
        "fct_check_ins",
        "int_topics__asked",
        "int_customers__questioned",
        "int_check_ins__assigned",
        "int_products__classified",
        "int_items__rested",
        "int_preferences__chosen",
        "int_topic_rules__chosen",
        "customer_topics",
        "int_choices__applied",
        "int_products__classed",
        "int_purchases__dated",
        "int_bursts__grouped",
        "int_replenishments__timed",
        "int_interests__stated",
        "int_needs__followed",
        "int_topic_rules__needed",
        "category_rhythms",
        "customer_needs",
        "customer_concentration",
        "sync_tool__held",
    }


def test_a_selection_of_nothing_fails(second: Night) -> None:
    with pytest.raises(FeaturesFailed, match="nothing was selected"):
        dbt.build(second, "no_such_tag")


def test_a_project_folder_without_a_project_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dbt.PROJECT_ENV, str(tmp_path))
    with pytest.raises(ConfigError, match=r"there is no dbt_project\.yml here\. Set RECSYS_DBT_PROJECT"):
        dbt.project_folder()
    monkeypatch.setenv(dbt.PROJECT_ENV, str(PROJECT))
    assert dbt.project_folder() == PROJECT
