from importlib.resources import files


def test_the_licences_of_the_linked_modules_come_along():
    licences = files("forge_cue") / "_licenses"
    for module in ("go", "cuelang.org/go", "github.com/cockroachdb/apd/v3"):
        assert (licences / module / "LICENSE").is_file()
