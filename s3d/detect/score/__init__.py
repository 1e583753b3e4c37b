"""What detections are worth: frame-mAP, video-mAP, AVA's mAP, and what goes wrong. Numpy alone."""
