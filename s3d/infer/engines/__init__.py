"""What runs a graph: PyTorch, OpenVINO, ONNX Runtime; and which is the fastest here."""
