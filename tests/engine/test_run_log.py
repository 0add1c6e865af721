"""The log of a run: all of its sessions in one, and what is damaged is said."""

from subquad.engine.run_log import read_log

HEAD = "epoch,step,train/loss,train/lr,val/mean_iou\n"


def write(folder, number, *lines, head=HEAD):
    path = folder / "logs" / f"version_{number}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(head + "".join(f"{line}\n" for line in lines))


def pairs(log, name):
    return [(point.step, point.value) for point in log.of(name)]


def test_columns_hold_the_cells_that_are_there(tmp_path):
    write(tmp_path, 0, "0,4,2.5,0.1,", "0,9,,,0.25")
    log = read_log(tmp_path)
    assert pairs(log, "train/loss") == [(4, 2.5)] and pairs(log, "val/mean_iou") == [(9, 0.25)]
    assert log.of("no such column") == [] and log.problems == ()
    assert log.at(10) == {"val/mean_iou": 0.25} and log.at(5) == {}, "training is no evaluation"


def test_a_later_session_takes_the_place_of_the_steps_that_it_repeats(tmp_path):
    write(tmp_path, 9, "0,4,3,,", "0,9,2,,", "1,14,1,,")
    write(tmp_path, 10, "0,9,20,,", "1,14,10,,", "1,19,5,,")
    assert pairs(read_log(tmp_path), "train/loss") == [(4, 3), (9, 20), (14, 10), (19, 5)]


def test_lines_that_are_cut_off_or_no_numbers_are_left_out(tmp_path):
    write(tmp_path, 0, "0,4,2.5,,", "0,nine,2,,", "0,14,nan,,", "0,19,inf,0.5,", "0,2", "0,24,1.5,,,9,9")
    log = read_log(tmp_path)
    assert pairs(log, "train/loss") == [(4, 2.5), (24, 1.5)] and pairs(log, "train/lr") == [(19, 0.5)]
    assert len(log.problems) == 1 and "1 lines could not be understood" in log.problems[0]


def test_a_file_of_something_else_is_said(tmp_path):
    write(tmp_path, 0, "0,4,3,,")
    write(tmp_path, 1, "x", head="a,b\n")
    path = tmp_path / "logs" / "version_2" / "metrics.csv"
    path.parent.mkdir()
    path.write_bytes(b"epoch,step,train/loss\n0,5,\x00\xff\n")
    log = read_log(tmp_path)
    assert pairs(log, "train/loss") == [(4, 3)]
    assert any("version_1" in problem and "no columns" in problem for problem in log.problems)


def test_no_logs_are_said(tmp_path):
    log = read_log(tmp_path)
    assert log.columns == {} and "there are no logs" in log.problems[0]
