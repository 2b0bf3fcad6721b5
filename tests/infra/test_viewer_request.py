"""The size of the CloudFront Function."""

import pytest

from infra.constructs import viewer_request


def test_a_function_above_cloudfronts_limit_is_refused(tmp_path, monkeypatch):
    source = tmp_path / "viewer_request.js"
    monkeypatch.setattr(viewer_request, "VIEWER_REQUEST_JS", source)

    source.write_text("//" + "é" * 5_119)
    assert len(viewer_request.viewer_request_source().encode()) == 10_240
    source.write_text("//" + "é" * 5_119 + "\n")
    with pytest.raises(ValueError, match="10241 bytes, more than CloudFront's 10240"):
        viewer_request.viewer_request_source()
