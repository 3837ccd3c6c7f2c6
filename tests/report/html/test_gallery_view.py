from stepladder.report.html.gallery_view import view_gallery
from stepladder.studies.files.gallery import Gallery, GalleryImage


def test_names_stand_for_positions():
    image = GalleryImage(position=7, label=1, predicted=0, top=((0, 0.75), (1, 0.2)), png="AA==")
    view = view_gallery(
        Gallery(trial="x", mistakes=(image,), uncertain=(), train_counts=(5, 6), samples=(("AA==",),)), ("cat", "dog")
    )
    (shown,) = view.mistakes
    assert (shown.label, shown.predicted, shown.right) == ("dog", "cat", False)
    assert shown.bars == (("cat", 75.0, False), ("dog", 20.0, True))
    assert shown.alt == "Test image 7 of the class dog, taken for cat"
    assert view.classes == (("cat", 5, ("AA==",)),)
