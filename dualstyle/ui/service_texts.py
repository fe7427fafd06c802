"""The words of what surrounds a portrait: the grid, the examples, privacy, and programs' mistakes.

Tables as in `dualstyle.ui.texts`, which lays them on its own.
"""

from __future__ import annotations

LABELS: dict[str, dict[str, str]] = {
    "en": {
        "grid_title": "Many pictures at once",
        "grid_count": "How many styles, spread over all",
        "grid_names": "Or these styles",
        "grid_names_info": "With commas between them, such as 0, 12, random:7",
        "grid_styles": "Draw my photo in these styles",
        "grid_photos_label": "Several photos",
        "grid_photos": "Draw these photos in the chosen style",
        "grid_stop": "Stop",
        "grid_pictures": "Pictures of the grid",
        "examples": "Or try one of these",
        "examples_label": "Example pictures",
        "delete": "Delete my photos",
        "privacy_title": "What happens to my photo",
        "privacy_text": (
            "**What is processed.** Your photo; the place and shape of the faces found in it (68 "
            "points each); numbers that describe the chosen face; and the pictures drawn from it. "
            "These describe a face and count as personal data. Camera data in the file, such as "
            "place and time, are not read on, and no result holds them.\n\n"
            "**Where.** In the memory and in temporary files of the computer that runs this page. "
            "They are sent to nobody, and the page loads nothing from elsewhere.\n\n"
            "**For how long.** Until you press *Delete my photos* or close the page, and at most "
            "about half an hour. Files are then deleted, not hidden. A link to a picture works for "
            "whoever has it, for as long as the file is there; it cannot be guessed. The settings "
            "link never holds your photo. There is no account, no cookie of ours, no history and "
            "no statistics.\n\n"
            "**What for.** Only to draw the pictures you ask for: no training, no recognition of "
            "who somebody is, no comparison with other people.\n\n"
            "**Whose picture.** Upload only pictures of people who agree, and of children only "
            "with their parents. Whoever runs this page answers questions about it."
        ),
    },
    "ko": {
        "grid_title": "여러 장을 한꺼번에",
        "grid_count": "전체에서 고르게 뽑을 화풍 수",
        "grid_names": "또는 이 화풍들",
        "grid_names_info": "쉼표로 나누어 적습니다. 예: 0, 12, random:7",
        "grid_styles": "내 사진을 이 화풍들로 그리기",
        "grid_photos_label": "사진 여러 장",
        "grid_photos": "이 사진들을 고른 화풍으로 그리기",
        "grid_stop": "멈추기",
        "grid_pictures": "모아 그린 그림",
        "examples": "또는 이 사진으로 해 보기",
        "examples_label": "예시 사진",
        "delete": "내 사진 지우기",
        "privacy_title": "내 사진은 어떻게 처리되나요",
        "privacy_text": (
            "**처리하는 것.** 올린 사진, 사진에서 찾은 얼굴의 위치와 형태(얼굴마다 점 68개), 고른 "
            "얼굴을 나타내는 수, 그것으로 그린 그림입니다. 얼굴에 관한 것이므로 개인정보에 "
            "해당합니다. 파일에 든 촬영 장소나 시각 같은 카메라 정보는 쓰지 않으며 결과에도 "
            "남지 않습니다.\n\n"
            "**장소.** 이 페이지를 실행하는 컴퓨터의 메모리와 임시 파일입니다. 다른 곳으로 보내지 "
            "않으며 페이지도 외부에서 아무것도 불러오지 않습니다.\n\n"
            "**기간.** *내 사진 지우기*를 누르거나 페이지를 닫을 때까지이며 길어도 약 30분입니다. "
            "그때 파일을 숨기지 않고 지웁니다. 그림의 주소는 파일이 있는 동안 그 주소를 아는 "
            "사람에게 열리며 짐작할 수 없습니다. 설정 링크에는 사진이 들어가지 않습니다. 계정, "
            "자체 쿠키, 기록, 통계가 없습니다.\n\n"
            "**목적.** 요청한 그림을 그리는 데만 씁니다. 학습에 쓰지 않고, 누구인지 알아보거나 "
            "다른 사람과 견주지 않습니다.\n\n"
            "**누구의 사진.** 동의한 사람의 사진만, 어린이는 보호자와 함께 올려 주세요. 문의에는 "
            "이 페이지를 운영하는 이가 답합니다."
        ),
    },
}

SAYINGS: dict[str, dict[str, str]] = {
    "en": {
        "astronaut": "An astronaut (NASA)",
        "nobody": "A person who does not exist",
        "grid_no_photo": "Upload a photo above first; then it can be drawn in many styles.",
        "grid_no_photos": "Choose the photos first.",
        "grid_begins": "Drawing {total} pictures.",
        "grid_done": "{done} of {total} pictures.",
        "grid_left_out": "Photo {photo} was left out: {reason}",
        "grid_stopped": "Stopped.",
        "deleted": "Everything of this visit was deleted: {count} files.",
        "image_missing": "There is no picture; hand in one as {name}.",
        "no_upload": "Only pictures that were uploaded here can be used; upload it.",
        "no_text": "{name} must be a text of at most {longest} letters.",
        "no_number": "{name} must be a whole number from {low} to {high}.",
        "one_face": "One face at a time can be reconstructed; name one by its number.",
        "no_encoder": "There is no encoder {encoder} for this domain here; there are: {here}.",
        "all_faces_alone": "All faces fit into one picture only if the whole photo is asked for.",
        "too_many": "At most {cap} pictures are drawn at once here, not {asked}; ask for fewer.",
    },
    "ko": {
        "astronaut": "우주인 (NASA)",
        "nobody": "세상에 없는 사람",
        "grid_no_photo": "먼저 위에 사진을 올려 주세요. 그러면 여러 화풍으로 그릴 수 있습니다.",
        "grid_no_photos": "먼저 사진들을 골라 주세요.",
        "grid_begins": "{total}장을 그립니다.",
        "grid_done": "{total}장 가운데 {done}장.",
        "grid_left_out": "사진 {photo}은(는) 뺐습니다: {reason}",
        "grid_stopped": "멈추었습니다.",
        "deleted": "이번 방문에서 생긴 것을 모두 지웠습니다: 파일 {count}개.",
        "image_missing": "그림이 없습니다. {name}에 그림을 보내 주세요.",
        "no_upload": "여기에 올린 그림만 쓸 수 있습니다. 그림을 올려 주세요.",
        "no_text": "{name}은(는) {longest}자 이하의 글이어야 합니다.",
        "no_number": "{name}은(는) {low}부터 {high}까지의 정수여야 합니다.",
        "one_face": "얼굴은 한 번에 하나만 재구성합니다. 번호로 하나를 골라 주세요.",
        "no_encoder": "이 화풍 종류에는 {encoder} 인코더가 여기 없습니다. 있는 것: {here}.",
        "all_faces_alone": "모든 얼굴을 한 장에 담으려면 사진 전체를 함께 요청해 주세요.",
        "too_many": "여기서는 한 번에 {cap}장까지 그립니다. {asked}장은 너무 많으니 줄여 주세요.",
    },
}
