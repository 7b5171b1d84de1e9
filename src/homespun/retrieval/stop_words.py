"""Words too common to find anything by, and by which a text's language is told."""

#: By the Snowball stemmer's name for the language.
STOP_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in {
        "english": "a about am an and any are as at be because been being but by can could did do does for from"
        " had has have he her him his how i if in into is it its me my no not of on or our she should so such"
        " than that the their them then there these they this those to us was we were what when where which"
        " who whom whose why will with would you your",
        "german": "aber als am an auch auf aus bei bin bis bist da damit das dass dem den denn der des die dies"
        " diese diesem diesen dieser doch durch ein eine einem einen einer eines er es für hat haben hatte ich"
        " ihr im in ist ja kann mit muss nach nicht noch nur ob oder ohne sein sich sie sind so über um und"
        " uns unter vom von vor war waren warum was welche welcher wenn wer werden wie wird wir wo wurde zu"
        " zum zur",
        "french": "à au aux avec ce ces cette comment dans de des du elle elles en est et étaient était été être"
        " il ils je la le les leur leurs lui ma mais mes moi mon ne nos notre nous on ont ou où par pas pour"
        " pourquoi qu quand que quel quelle quelles quels qui sa sans se ses son sont sur ta te tes tu un une"
        " vos votre vous",
        "spanish": "a al como cómo con cuál cuáles cuando cuándo de del desde donde dónde el él ella ellos en"
        " entre era es esa ese eso esta está este esto estos fue ha han hasta hay la las le les lo los más me"
        " mi muy ni no nos o para pero por porque que qué quién se sea ser si sin sobre son su sus también te"
        " tu un una unos y ya",
        "italian": "a ad agli ai al alla alle anche che chi ci come con cosa cui da dagli dai dal dalla dei del"
        " della delle di dove e ed era è gli ha hanno i il in io la le lei li lo loro lui ma mi ne nei nel"
        " nella nelle noi non o per perché più quale quali quando quanto questa questo se si sono su sua sui"
        " suo sul sulla tra un una uno",
        "portuguese": "a ao aos as às com como da das de dela dele do dos e é ela ele em entre era essa esse esta"
        " está este eu foi há isso já lhe mais mas me mesmo muito na nas não nem no nos o onde os ou para pela"
        " pelo por porque qual quais quando que quem se sem ser seu são sua também te tem um uma você",
        "dutch": "aan al als bij dan dat de der deze die dit door een en er had heb hebben heeft het hij hoe ik"
        " in is kan maar meer met mijn naar niet nog nu of om onder ook op over te tegen tot uit van veel voor"
        " waar waarom want waren was wat welke wel werd wie wij wordt worden zal ze zich zij zijn zo",
        "swedish": "alla att av blev bli blir de dem den denna deras dess det detta din du där efter ej eller en"
        " ett från för ha hade han har hon hur här i inte jag kan man med men mig min mot mycket ni nu när och"
        " om oss på sig sin som till under upp ut vad var varför vi vid vilka vilken vilket än är",
        "russian": "а без бы был была были было быть в вам вас весь во вот все всё вы где да для до его ее её если"
        " есть еще ещё же за и из или им их к как какая какие какой ко когда кто ли мне мы на над не него нет"
        " но о об он она они оно от по под почему при с со так такой там то тоже только у уже чего чем что"
        " чтобы эта эти это этот я",
    }.items()
}
