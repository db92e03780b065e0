"""Dashboard: makes ``deploy/grafana/configsvc.json`` of what is listed here.

``python -m tools.dashboard`` writes the file; a test holds the two together. In expressions, ``@``
stands for the servers that are looked at.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from tools.dashboard_panels import ROWS, Panel

__all__ = ["FILE", "main", "render"]

FILE: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "configsvc.json"

_SERVERS: Final = 'job="$job", instance=~"$instance"'
_SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

_WIDTH: Final = 24
_ROW_HEIGHT: Final = 1


def render() -> str:
    """Return the dashboard as JSON that Grafana imports."""
    board = (
        dashboard.Dashboard("configsvc")
        .uid("configsvc")
        .description("Servers of one installation of configsvc, and who reads from them.")
        .tags(["configsvc"])
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    for variable in _variables():
        board = board.with_variable(variable)
    number = y = 0
    for title, panels in ROWS:
        number += 1
        place = models.GridPos(h=_ROW_HEIGHT, w=_WIDTH, x=0, y=y)
        board = board.with_row(dashboard.Row(title).id(number).grid_pos(place))
        y += _ROW_HEIGHT
        x = height = 0
        for panel in panels:
            number += 1
            if x + panel.width > _WIDTH:
                x, y, height = 0, y + height, 0
            place = models.GridPos(h=panel.height, w=panel.width, x=x, y=y)
            board = board.with_panel(_panel(panel).id(number).grid_pos(place))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return json.dumps(board.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(render(), encoding="utf-8")


def _variables() -> Sequence[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    everything = models.VariableOption(text="All", value="$__all")
    return (
        dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"),
        dashboard.QueryVariable("job")
        .label("Installation")
        .datasource(_SOURCE)
        .query("label_values(configsvc_build_info, job)")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC),
        dashboard.QueryVariable("instance")
        .label("Server")
        .datasource(_SOURCE)
        .query('label_values(configsvc_build_info{job="$job"}, instance)')
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(everything),
    )


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    built = _number(panel) if panel.is_number else _graph(panel)
    built.title(panel.title).description(panel.description).datasource(_SOURCE).unit(panel.unit)
    for position, (expression, legend) in enumerate(panel.queries):
        built.with_target(
            prometheus.Dataquery()
            .expr(expression.replace("@", _SERVERS))
            .legend_format(legend)
            .ref_id(chr(ord("A") + position))
        )
    return built


def _number(panel: Panel) -> stat.Panel:
    steps = [models.Threshold(color=panel.color)]
    steps += [models.Threshold(color=color, value=value) for value, color in panel.colors]
    return (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    )


def _graph(panel: Panel) -> timeseries.Panel:
    mode = (
        common_models.StackingMode.NORMAL if panel.is_stacked else common_models.StackingMode.NONE
    )
    return (
        timeseries.Panel()
        .min(0)
        .fill_opacity(30 if panel.is_stacked else 5)
        .show_points(common_models.VisibilityMode.NEVER)
        .stacking(common.StackingConfig().mode(mode).group("A"))
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )


if __name__ == "__main__":
    main()
