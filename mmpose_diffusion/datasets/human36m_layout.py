"""The skeleton and the cameras of Human3.6M as all readers of it know them."""

H36M_KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)  # of 32 joints, the 17 that readers use
H36M_LEFT, H36M_RIGHT = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]  # among the 17
CAMERA_SIZES = {  # (width, height) of the pictures of each camera
    '54138969': (1000, 1002),
    '55011271': (1000, 1000),
    '58860488': (1000, 1000),
    '60457274': (1000, 1002),
}
